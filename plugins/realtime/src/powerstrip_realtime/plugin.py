"""What realtime brings to the host."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from powerstrip import BackgroundTask, HookCalls, Plugin, Routes, Services, hookimpl
from powerstrip_realtime import pages, routes
from powerstrip_realtime.assembly import collect_topics, running_realtime
from powerstrip_realtime.notifications import Notifications
from powerstrip_realtime.presence import Attendance
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.settings import RealtimeSettings
from powerstrip_realtime.topics import TopicHooks, Topics


class Realtime(Plugin[RealtimeSettings]):
    """WebSockets, server-sent events and notifications."""

    # A shared log of events, inboxes, tokens to be read, messages to be counted: used when there.
    wants = ("redis", "database", "identity", "ratelimit")
    shared_through = ("redis",)

    @hookimpl
    def register_hookspecs(self) -> Sequence[type]:
        return [TopicHooks]

    @hookimpl(optionalhook=True)
    def register_tables(self) -> Sequence[Any]:
        # Late: SQLAlchemy takes a third of a second to import, and only those with a database need it.
        from powerstrip_database import Tables  # noqa: PLC0415
        from powerstrip_realtime.models import Table  # noqa: PLC0415 - likewise

        return [Tables(Table.metadata, "powerstrip_realtime.migrations")]

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [
            Routes(routes.socket_router, version=None),
            Routes(pages.page_router, version=None),
            Routes(routes.router),
        ]

    @hookimpl
    def register_tasks(self) -> Sequence[BackgroundTask]:
        return [
            BackgroundTask("connections", lambda services: services[Registry].follow()),
            BackgroundTask("presence", lambda services: services[Attendance].follow()),
            BackgroundTask("outbox", _follow_outbox),
            BackgroundTask("old notifications", _forget_old),
        ]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[object, ...]]:
        async with running_realtime(self.settings, services) as provided:
            self._topics = next(service for service in provided if isinstance(service, Topics))
            yield provided

    async def adapt(self, services: Services) -> Callable[[], None]:
        """Connections stay open; plugins that are switched on bring their topics."""
        topics = collect_topics(services[HookCalls])
        return lambda: self._topics.take(topics)


async def _follow_outbox(services: Services) -> None:
    # Late: SQLAlchemy takes a third of a second to import, and only those with a database need it.
    from powerstrip_database import Database  # noqa: PLC0415

    if services.get(Database) is not None:
        from powerstrip_realtime.outbox import Outbox  # noqa: PLC0415 - likewise

        await services[Outbox].follow()


async def _forget_old(services: Services) -> None:
    await services[Notifications].keep_tidy()
