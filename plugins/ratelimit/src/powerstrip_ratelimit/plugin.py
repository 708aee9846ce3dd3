"""What ratelimit brings to the host."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import typer

from powerstrip import (
    BackgroundTask,
    CommandRunner,
    Finding,
    HealthCheck,
    HookCalls,
    Interceptor,
    Middleware,
    Plugin,
    RouteInfo,
    Routes,
    Services,
    Stage,
    hookimpl,
)
from powerstrip_ratelimit.assembly import running_limiter
from powerstrip_ratelimit.checks import doubts
from powerstrip_ratelimit.commands import ratelimit_commands
from powerstrip_ratelimit.contributions import Contributions
from powerstrip_ratelimit.domain.policies import Algorithm
from powerstrip_ratelimit.errors import StoreUnavailableError, UnknownKeyError
from powerstrip_ratelimit.hooks import RatelimitHooks
from powerstrip_ratelimit.interceptors import RateLimits
from powerstrip_ratelimit.inventory import Inventory
from powerstrip_ratelimit.middleware import LeaseMiddleware, MessageMiddleware
from powerstrip_ratelimit.openapi import LimitsDocument
from powerstrip_ratelimit.routes import admin_router, router
from powerstrip_ratelimit.rules import Rules, make_rules
from powerstrip_ratelimit.service import Limiter
from powerstrip_ratelimit.settings import RatelimitSettings
from powerstrip_ratelimit.standings import Standings


class Ratelimit(Plugin[RatelimitSettings]):
    """Limits how much each client may ask for."""

    # To stand inside of what finds out who asks and from where, and to use the store if there is one.
    wants = ("edge", "identity", "redis")
    shared_through = ("redis",)

    def __init__(self, name: str, settings: RatelimitSettings) -> None:
        super().__init__(name, settings)
        self._rules = make_rules(settings)
        self._limits = RateLimits()
        self._inventory = Inventory()

    @hookimpl
    def register_hookspecs(self) -> Sequence[type]:
        return [RatelimitHooks]

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        role = self.settings.admin_role
        return [Routes(router), *([Routes(admin_router(role))] if role else ())]

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [self._limits]

    @hookimpl
    def register_middleware(self) -> Sequence[Middleware]:
        """Only what the policies need: most have neither leases nor messages to count."""
        middleware: list[Middleware] = []
        needs_leases, needs_messages = _needs(self._rules)
        if needs_leases:
            middleware.append(Middleware(LeaseMiddleware, Stage.EDGE, limits=self._limits))
        if needs_messages:
            middleware.append(Middleware(MessageMiddleware, Stage.GUARD, limits=self._limits))
        return middleware

    @hookimpl
    def register_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("ratelimit", self._check, critical=False)]

    @hookimpl
    def register_tasks(self) -> Sequence[BackgroundTask]:
        return [BackgroundTask("lease renewal", lambda services: services[Limiter].renew_leases())]

    @hookimpl
    def inspect_routes(self, routes: Sequence[RouteInfo]) -> Sequence[Finding]:
        self._inventory.take(routes)
        return list(doubts(self._rules, routes))

    @hookimpl
    def customise_openapi(self, document: dict[str, Any]) -> None:
        LimitsDocument(self._rules, self._inventory.routes).describe(document)

    @hookimpl
    def register_commands(self, runner: CommandRunner) -> Sequence[typer.Typer]:
        return [ratelimit_commands(runner)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[tuple[Limiter, Standings]]:
        async with running_limiter(self._rules, services) as limiter:
            self._limits.limiter = limiter
            try:
                yield limiter, Standings(limiter, self._inventory)
            finally:
                self._limits.limiter = None

    def reconfigure(self, settings: RatelimitSettings) -> Callable[[], None] | None:
        """Counts go on under other rates; only other routes, middleware and stores need a start."""
        rules, limiter = make_rules(settings), self._limits.limiter
        if limiter is None or _parts(rules) != _parts(self._rules):
            return None
        try:
            limiter.contributions.check(rules)
        except UnknownKeyError:
            return None  # for the start to say

        def switch_over() -> None:
            self._rules = rules
            limiter.use(rules)

        return switch_over

    async def adapt(self, services: Services) -> Callable[[], None]:
        contributions = Contributions.collect(services[HookCalls])
        contributions.check(self._rules)

        def switch_over() -> None:
            if self._limits.limiter is not None:
                self._limits.limiter.hear(contributions)

        return switch_over

    async def _check(self) -> Mapping[str, Any]:
        limiter = self._limits.limiter
        if limiter is None:
            return {}
        if not limiter.store.is_available:
            raise StoreUnavailableError("the store of counters is away")
        return limiter.store.facts()


def _counts_in(settings: RatelimitSettings) -> tuple[object, ...]:
    """What another store would have to be opened for."""
    return settings.store, settings.store_timeout, settings.on_store_failure


def _needs(rules: Rules) -> tuple[bool, bool]:
    """Whether there are leases to end, and messages to count."""
    has_leases = any(rule.policy.algorithm is Algorithm.CONCURRENT for rule in rules.rules)
    return has_leases, any(rule.counts_messages for rule in rules.rules)


def _parts(rules: Rules) -> tuple[object, ...]:
    """What a plugin with other settings would have registered or opened instead."""
    settings = rules.settings
    return _needs(rules), settings.admin_role, settings.store, settings.store_timeout, settings.on_store_failure
