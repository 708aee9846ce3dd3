"""What exports brings to the host."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from powerstrip import Clock, HookCalls, Plugin, Routes, Services, hookimpl
from powerstrip_database import Database
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.reading import Reading
from powerstrip_exports.routes import export_routes
from powerstrip_exports.settings import ExportsSettings
from powerstrip_exports.sqlite import reading_engine
from powerstrip_exports.streams import Audit, Streams
from powerstrip_exports.threads import Threads


class Exports(Plugin[ExportsSettings]):
    """Exports what other plugins offer, at any size."""

    requires = ("database",)
    # They may keep the audit log, and know who asks.
    wants = ("identity", "audit")

    def __init__(self, name: str, settings: ExportsSettings) -> None:
        super().__init__(name, settings)
        self._routed: tuple[Catalog, Sequence[Routes]] | None = None

    @hookimpl
    def register_derived_routes(self, hooks: HookCalls) -> Sequence[Routes]:
        catalog = Catalog(hooks, self.settings)
        if self._routed is None or not self._routed[0].is_same(catalog):
            self._routed = (catalog, export_routes(catalog))
        return self._routed[1]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[object, ...]]:
        database = services[Database]
        engine = reading_engine(database) if database.dialect == "sqlite" else None
        with Threads.running(min(4, (os.cpu_count() or 1) + 1)) as threads:
            reading = Reading(database, engine, threads)
            yield reading, Streams(reading, threads, Audit(services), self.settings, services[Clock])
