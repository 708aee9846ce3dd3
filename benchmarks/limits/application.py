"""The application under load: one route, limits in Redis, and an observer that knows when the store went and came."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import httpx2
from fastapi import APIRouter, Depends

from powerstrip import Plugin, PluginSettings, Routes, hookimpl, public
from powerstrip.testing import ClientFactory, ConfigBuilder
from powerstrip_ratelimit import RateLimitObserver

CLIENT = ("192.0.2.1", 1234)


class Changes(RateLimitObserver):
    """When the store was last noticed to be away, and to be back."""

    def __init__(self) -> None:
        self.away_at = 0.0
        self.back_at = 0.0
        self.is_available = True

    def decided(self, policy: str, outcome: str) -> None:
        """Not of interest here."""

    def store_changed(self, *, is_available: bool) -> None:
        self.is_available = is_available
        if is_available:
            self.back_at = monotonic()
        else:
            self.away_at = monotonic()


class Things(Plugin[PluginSettings]):
    """Answers."""

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        router = APIRouter(dependencies=[Depends(public)])

        @router.get("/things")
        async def list_things() -> list[str]:
            return []

        return [Routes(router)]


@asynccontextmanager
async def running(redis_url: str, limits: Mapping[str, Any]) -> AsyncIterator[tuple[httpx2.AsyncClient, Changes]]:
    """The application in this process, and a client of it that has one address."""
    changes = Changes()

    class Watched(Things):
        """Answers, and watches the store."""

        @hookimpl
        def register_rate_limit_observers(self) -> Sequence[RateLimitObserver]:
            return [changes]

    plugins = {"redis": {"url": redis_url}, "ratelimit": dict(limits), "things": True}
    with TemporaryDirectory() as folder:
        app = ClientFactory(ConfigBuilder(Path(folder)))(plugins, extra={"things": Watched}).app
    transport = httpx2.ASGITransport(app, client=CLIENT, raise_app_exceptions=False)
    client = httpx2.AsyncClient(transport=transport, base_url="http://api.example")
    async with app.router.lifespan_context(app), client:
        yield client, changes
