"""What is remembered of routes, without holding on to them: a reload brings others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from powerstrip import Access, RateLimit, RouteInfo


@dataclass(frozen=True, slots=True, weakref_slot=True)
class RouteFacts:
    """A route as far as limits are concerned."""

    plugin: str
    path: str
    methods: frozenset[str] | None
    is_websocket: bool
    name: str
    tags: tuple[str, ...]
    access: Access | None
    limits: Mapping[RateLimit, str]


class Inventory:
    """The routes that were seen last."""

    def __init__(self) -> None:
        self.routes: tuple[RouteFacts, ...] = ()

    def take(self, routes: Sequence[RouteInfo]) -> None:
        """Remember these."""
        self.routes = tuple(
            RouteFacts(
                route.plugin,
                route.path,
                route.methods,
                route.is_websocket,
                route.name,
                route.tags,
                route.access,
                dict(route.limits),
            )
            for route in routes
        )

    @property
    def stated(self) -> Mapping[str, RateLimit]:
        """The limits that authors stated, by name."""
        return {name: limit for route in self.routes for limit, name in route.limits.items()}
