"""What redis brings to the host."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from powerstrip import BackgroundTask, EventBus, HealthCheck, Plugin, ProblemHandler, Services, hookimpl
from powerstrip_redis.errors import Cause, NoFreeConnection, RedisUnavailable
from powerstrip_redis.event_log import RedisEventLog
from powerstrip_redis.service import RedisConnections
from powerstrip_redis.settings import RedisSettings


class RedisPlugin(Plugin[RedisSettings]):
    """Connects other plugins with Redis or Valkey."""

    def __init__(self, name: str, settings: RedisSettings) -> None:
        super().__init__(name, settings)
        self._connections: RedisConnections | None = None

    @hookimpl
    def register_problem_handlers(self) -> Sequence[ProblemHandler]:
        # For those who use the client itself.
        return [ProblemHandler(kind, self._problem) for kind in (RedisConnectionError, RedisTimeoutError)]

    @hookimpl
    def register_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("redis", self._probe, critical=self.settings.critical)]

    @hookimpl
    def register_tasks(self) -> Sequence[BackgroundTask]:
        first_look = BackgroundTask("first look", _look)
        if not self.settings.events.carry:
            return [first_look]
        return [
            first_look,
            BackgroundTask("event reader", lambda services: services[RedisEventLog].read()),
            BackgroundTask("event writer", lambda services: services[RedisEventLog].flush()),
        ]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[object, ...]]:
        self._connections = connections = RedisConnections(self.settings)
        try:
            if self.settings.events.carry:
                log = RedisEventLog(connections, self.settings.events)
                await log.open()
                with services[EventBus].carry(log):
                    yield connections, log
            else:
                yield (connections,)
        finally:
            self._connections = None
            await connections.close()

    async def _probe(self) -> Mapping[str, Any]:
        if self._connections is None:
            raise RedisUnavailable(Cause.AWAY, self.settings.retry_after)
        return await self._connections.probe()

    def _problem(self, error: Exception) -> RedisUnavailable:
        cause = Cause.BUSY if isinstance(error, NoFreeConnection) else Cause.AWAY
        return RedisUnavailable(cause, self.settings.retry_after)


async def _look(services: Services) -> None:
    """So that a server that is away at the start is logged then, and costs the first request nothing."""
    with suppress(RedisUnavailable):
        await services[RedisConnections].probe()
