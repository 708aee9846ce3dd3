"""Putting a limiter together while the plugin starts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from powerstrip import Clock, HookCalls, Services
from powerstrip_ratelimit.contributions import Contributions
from powerstrip_ratelimit.rules import Rules
from powerstrip_ratelimit.service import Limiter
from powerstrip_ratelimit.stores.opening import open_store


@asynccontextmanager
async def running_limiter(rules: Rules, services: Services) -> AsyncGenerator[Limiter]:
    """A limiter with all that other plugins told it; raises UnknownKeyError for a policy that nobody can count,
    and NoRedisError."""
    clock = services[Clock]
    contributions = Contributions.collect(services[HookCalls])
    contributions.check(rules)
    limiter: Limiter | None = None

    def tell(*, is_available: bool) -> None:
        if limiter is not None:
            limiter.observation.store_changed(is_available=is_available)

    async with open_store(rules.settings, services, tell) as store:
        limiter = Limiter(rules, store, contributions, clock)
        try:
            yield limiter
        finally:
            await limiter.close()
