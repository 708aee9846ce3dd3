"""Applications with `redis` and a witness of its services."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from powerstrip import Plugin, PluginSettings, Services, hookimpl
from powerstrip.testing import ClientFactory
from powerstrip_redis import RedisConnections, RedisUnavailable

Running = Callable[..., AbstractAsyncContextManager[RedisConnections]]

PATIENCE = 60.0  # seconds: the machine may be busy


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def running(powerstrip_client: ClientFactory, redis_url: str) -> Running:
    """An application in the event loop of the test: `async with running({"pool_size": 1}) as connections: ...`"""

    @asynccontextmanager
    async def do(settings: Mapping[str, Any] | None = None) -> AsyncIterator[RedisConnections]:
        found: list[RedisConnections] = []

        class Witness(Plugin[PluginSettings]):
            """Sees the service."""

            requires = ("redis",)

            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services: Services) -> AsyncIterator[None]:
                found.append(services[RedisConnections])
                yield

        # The reader of events would be one more connection.
        own = {"url": redis_url, "events": {"carry": False}, **(settings or {})}
        plugins = {"redis": own, "witness": True}
        app = powerstrip_client(plugins, extra={"witness": Witness}).app
        async with app.router.lifespan_context(app):
            yield found[0]

    return do


Until = Callable[[Callable[[], object]], Awaitable[None]]
Connected = Callable[[RedisConnections], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Returns when the condition holds: `await until(lambda: ...)`. A server that can't be asked says no."""

    def holds(condition: Callable[[], object]) -> bool:
        try:
            return bool(condition())
        except OSError:
            return False

    async def do(condition: Callable[[], object]) -> None:
        with anyio.fail_after(PATIENCE):
            while not holds(condition):  # noqa: ASYNC110 - what is waited for is another process
                await anyio.sleep(0.01)

    return do


async def _ask(connections: RedisConnections) -> bool:
    try:
        async with connections.available(0.5) as client:
            await client.ping()
    except RedisUnavailable:
        await anyio.sleep(0.01)
        return False
    return True


@pytest.fixture
def works_again() -> Connected:
    """Returns when a call succeeds."""

    async def do(connections: RedisConnections) -> None:
        with anyio.fail_after(PATIENCE):
            while not await _ask(connections):
                pass

    return do


@pytest.fixture
def is_noticed() -> Connected:
    """Returns when the service knows that the server is away."""

    async def do(connections: RedisConnections) -> None:
        with anyio.fail_after(PATIENCE):
            while connections.is_available:
                await _ask(connections)

    return do
