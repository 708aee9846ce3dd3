"""Which store counts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from powerstrip import Clock
from powerstrip_ratelimit.domain.decisions import WatchedStore
from powerstrip_ratelimit.settings import RatelimitSettings
from powerstrip_ratelimit.stores.memory import MemoryStore


@asynccontextmanager
async def open_store(settings: RatelimitSettings, clock: Clock) -> AsyncGenerator[WatchedStore]:
    """The store that the settings choose."""

    def now() -> int:
        return int(clock.monotonic() * 1_000_000)

    yield MemoryStore(now, settings.max_keys)
