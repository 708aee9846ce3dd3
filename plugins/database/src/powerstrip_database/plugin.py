"""What database brings to the host."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import TimeoutError as NoFreeConnection

from powerstrip import (
    CommandRunner,
    HealthCheck,
    HookCalls,
    Interceptor,
    Plugin,
    ProblemHandler,
    Services,
    hookimpl,
)
from powerstrip_database.errors import Cause, DatabaseUnavailable
from powerstrip_database.hooks import DatabaseHooks
from powerstrip_database.interceptors import StatementTiming
from powerstrip_database.service import Database
from powerstrip_database.settings import DatabaseSettings

if TYPE_CHECKING:
    import typer

    from powerstrip_database.migrations import Migrations
    from powerstrip_database.opening import OpenDatabase


class DatabasePlugin(Plugin[DatabaseSettings]):
    """Keeps the data of other plugins, in SQLite or PostgreSQL."""

    # Its time goes into a header that tracing sends.
    wants = ("tracing",)

    def __init__(self, name: str, settings: DatabaseSettings) -> None:
        super().__init__(name, settings)
        self._migrate = settings.migrate
        self._open: OpenDatabase | None = None

    @hookimpl
    def register_hookspecs(self) -> Sequence[type]:
        return [DatabaseHooks]

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [StatementTiming()]

    @hookimpl
    def register_problem_handlers(self) -> Sequence[ProblemHandler]:
        # For those who use the engine itself.
        return [ProblemHandler(NoFreeConnection, lambda _error: self._unavailable(Cause.BUSY))]

    @hookimpl
    def register_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("database", self._probe)]

    @hookimpl
    def register_commands(self, runner: CommandRunner) -> "Sequence[typer.Typer]":
        # Late: Alembic and the command line's library take longer to import than all the rest.
        from powerstrip_database.commands import database_commands  # noqa: PLC0415

        return [database_commands(runner, self._leave_tables_alone)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator["tuple[Database, Migrations]"]:
        # Alembic tells at each start what it is made of, and nothing of what it does.
        logging.getLogger("alembic.runtime").setLevel(logging.WARNING)
        # Late: `powerstrip check` and its like build, and never start; they need no Alembic.
        from powerstrip_database.opening import opened  # noqa: PLC0415

        async with opened(self.settings, services[HookCalls], self._migrate) as database:
            self._open = database
            try:
                yield database.database, database.migrations
            finally:
                self._open = None

    async def adapt(self, services: Services) -> Callable[[], None]:
        """Connections stay; plugins that are switched on find their tables."""
        if self._open is None:
            raise self._unavailable(Cause.UNREACHABLE)
        return await self._open.adapt(services[HookCalls])

    async def _probe(self) -> Mapping[str, Any]:
        if self._open is None:
            raise self._unavailable(Cause.UNREACHABLE)
        return await self._open.database.probe()

    def _unavailable(self, cause: Cause) -> DatabaseUnavailable:
        return DatabaseUnavailable(cause, self.settings.retry_after)

    def _leave_tables_alone(self) -> None:
        """For commands that migrate themselves, or must work before anything is migrated."""
        self._migrate = "off"
