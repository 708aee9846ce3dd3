"""What exports brings to the host."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from powerstrip import BackgroundTask, CommandRunner, HookCalls, Plugin, Routes, Services, hookimpl
from powerstrip_database import Tables
from powerstrip_exports.assembly import running_exports
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import PERMISSIONS, Permission
from powerstrip_exports.models import Table
from powerstrip_exports.routes import ExportRoutes
from powerstrip_exports.settings import ExportsSettings
from powerstrip_exports.worker import JobWorker, Sweep

if TYPE_CHECKING:  # the command line's library is only needed by the command line
    import typer


class Exports(Plugin[ExportsSettings]):
    """Exports what other plugins offer, at any size."""

    requires = ("database",)
    # They may keep the audit log, and know who asks.
    wants = ("identity", "audit")

    def __init__(self, name: str, settings: ExportsSettings) -> None:
        super().__init__(name, settings)
        self._routes = ExportRoutes()
        self._worker: JobWorker | None = None

    @hookimpl
    def register_derived_routes(self, hooks: HookCalls) -> Sequence[Routes]:
        return self._routes.of(Catalog(hooks, self.settings))

    @hookimpl
    def register_tables(self) -> Sequence[Tables]:
        return [Tables(Table.metadata, "powerstrip_exports.migrations")]

    @hookimpl(optionalhook=True)
    def register_permissions(self) -> Sequence[Permission]:
        return PERMISSIONS

    @hookimpl
    def register_tasks(self) -> Sequence[BackgroundTask]:
        return [
            BackgroundTask("jobs", lambda services: services[JobWorker].follow()),
            BackgroundTask("sweep", lambda services: services[Sweep].follow()),
        ]

    @hookimpl
    def register_commands(self, runner: CommandRunner) -> "Sequence[typer.Typer]":
        # Late: only the command line needs its library.
        from powerstrip_exports.commands import export_commands  # noqa: PLC0415

        return [export_commands(runner)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[object, ...]]:
        self._routes.catalog = catalog = Catalog(services[HookCalls], self.settings)
        async with running_exports(catalog, self.settings, services) as provided:
            self._worker = next(one for one in provided if isinstance(one, JobWorker))
            yield provided

    async def adapt(self, services: Services) -> Callable[[], None]:
        # Jobs and streams that run go on: only which sources there are has changed.
        catalog = Catalog(services[HookCalls], self.settings)

        def switch_over() -> None:
            self._routes.catalog = catalog
            if self._worker is not None:
                self._worker.catalog = catalog

        return switch_over
