"""Which store counts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from powerstrip import Clock, Services, SharedServer
from powerstrip_ratelimit.domain.decisions import WatchedStore
from powerstrip_ratelimit.errors import NoRedisError
from powerstrip_ratelimit.settings import RatelimitSettings
from powerstrip_ratelimit.stores.denials import Denials
from powerstrip_ratelimit.stores.failover import FailoverStore, Tell
from powerstrip_ratelimit.stores.memory import MemoryStore

if TYPE_CHECKING:
    from powerstrip_redis import RedisConnections


@asynccontextmanager
async def open_store(settings: RatelimitSettings, services: Services, tell: Tell) -> AsyncGenerator[WatchedStore]:
    """The store that the settings choose; `tell(is_available=...)` is called when that changes.

    Raises NoRedisError.
    """
    clock = services[Clock]

    def now() -> int:
        return int(clock.monotonic() * 1_000_000)

    memory = MemoryStore(now, settings.max_keys)
    connections = _connections(services) if settings.store != "memory" else None
    if connections is None:
        if settings.store == "redis":
            raise NoRedisError("'store: redis' needs the plugin redis: switch it on")
        yield memory
        return
    # Late: it needs redis-py, which is not there when counters are kept in memory.
    from powerstrip_ratelimit.stores.redis import RedisStore  # noqa: PLC0415

    remote = RedisStore(connections, within=settings.store_timeout)
    try:
        yield FailoverStore(remote, memory, settings.on_store_failure, denials=Denials(now), tell=tell)
    finally:
        await remote.close()


def _connections(services: Services) -> "RedisConnections | None":
    # Not by its own type: a plugin that is off is not to be imported, and may not even be installed.
    if services.get(SharedServer) is None:
        return None
    # Late, see above.
    from powerstrip_redis import RedisConnections  # noqa: PLC0415

    return services.get(RedisConnections)
