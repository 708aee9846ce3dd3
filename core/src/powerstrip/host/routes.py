"""build: plugins' routers become flat routes, each with its whole path and its owner."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from fastapi.datastructures import Default
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from powerstrip.contract.limits import RateLimit
from powerstrip.contract.problems import PluginUnavailable
from powerstrip.contract.routes import Access, Routes, public
from powerstrip.host.endpoints import OverridesProvider, path_operation
from powerstrip.host.registrations import Owned, source_of

HOST = "powerstrip"
WEBSOCKET = "WEBSOCKET"
ANY_METHOD = "*"

_STRICTNESS: Mapping[str, int] = {"public": 0, "optional": 1, "identity": 2, "role": 3, "permission": 3}


@dataclass(frozen=True)
class OwnedRoute:
    """A flat route, the plugin that owns it, and the ASGI application that answers it."""

    plugin: str
    route: BaseRoute
    app: ASGIApp
    methods: frozenset[str] | None
    access: Access | None
    """Who may call it, or None when it does not say."""
    limits: Mapping[RateLimit, str] = field(default_factory=dict, compare=False)
    """The limits that it states, each with the name it is counted under."""

    @property
    def path(self) -> str:
        """The whole path template, as in `scope["route"].path`."""
        return str(getattr(self.route, "path", ""))

    @property
    def is_websocket(self) -> bool:
        return isinstance(self.route, WebSocketRoute)

    @property
    def method_names(self) -> list[str]:
        """Its methods, `WEBSOCKET` of a WebSocket's, `*` where it takes all, as a mount does."""
        if self.is_websocket:
            return [WEBSOCKET]
        return sorted(self.methods) if self.methods else [ANY_METHOD]

    @property
    def name(self) -> str:
        return str(getattr(self.route, "name", ""))

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(str(tag) for tag in getattr(self.route, "tags", ()))

    @property
    def endpoint(self) -> Any:
        return getattr(self.route, "endpoint", None) or getattr(self.route, "app", None)

    @cached_property
    def source(self) -> str:
        """The file and line of the endpoint."""
        return source_of(self.endpoint)


FlatKey = tuple[str, int, str | None, str, str]
"""Plugin, router, version, path before the router's own, label. A router is told by its identity: it is kept alive by
the registrations beside which these keys stand."""


class RouteFlattener:
    """Makes the flat routes of one application.

    FastAPI keeps included routers as a tree, matches it level by level and builds it on the first
    request; one flat list, built here, is what the index needs and what `scope["route"].path`,
    `url_for` and OpenAPI then agree on.
    """

    def __init__(
        self, api_prefix: str, overrides: OverridesProvider, made: Mapping[FlatKey, Sequence[OwnedRoute]]
    ) -> None:
        """`made` are the routes of an application before, to be taken again where they would come out the same."""
        self.made: dict[FlatKey, Sequence[OwnedRoute]] = {}
        self._made_before = made
        self._api_prefix = api_prefix
        self._overrides = overrides
        self._operation_ids: set[str] = set()
        self._limit_names: dict[RateLimit, str] = {}

    def flatten(self, entry: Owned[Routes], prefix: str, label: str) -> Sequence[OwnedRoute]:
        """The routes of one router; `prefix` is the operator's, `label` what OpenAPI calls the plugin."""
        version = entry.value.version
        base = f"{self._api_prefix}/{version}{prefix}" if version is not None else prefix
        key = (entry.plugin, id(entry.value.router), version, base, label)
        routes = self._again(key, entry) or list(self._flatten(entry, base, label))
        self.made[key] = routes
        return routes

    def _again(self, key: FlatKey, entry: Owned[Routes]) -> Sequence[OwnedRoute] | None:
        """The routes as they were made before, unless one would get another operation id beside those made so far."""
        routes = self._made_before.get(key, ())
        given = set(self._operation_ids)
        operation_id = self._operation_id(entry.plugin, entry.value.version)
        for route in (known.route for known in routes if isinstance(known.route, APIRoute)):
            if not route.operation_id and operation_id(route) != route.unique_id:
                self._operation_ids = given
                return None
        return [replace(known, limits=self._named(known, known.limits)) if known.limits else known for known in routes]

    def _flatten(self, entry: Owned[Routes], base: str, label: str) -> Iterator[OwnedRoute]:
        for context in iter_route_contexts(entry.value.router.routes):
            route = context.route if context.original_route is context.route else context.original_route
            flat = self._flat(entry, context, route, base, label)
            methods = getattr(flat, "methods", None)
            dependant = getattr(context, "dependant", None)
            access = _access(dependant) or _own_access(getattr(flat, "endpoint", None))
            owned = OwnedRoute(entry.plugin, flat, self._app(flat), frozenset(methods) if methods else None, access)
            limits = [call for call in _calls(dependant) if isinstance(call, RateLimit)]
            yield replace(owned, limits=self._named(owned, limits))

    def _named(self, entry: OwnedRoute, found: Iterable[RateLimit]) -> dict[RateLimit, str]:
        """The limits of one route, named after the first route that states them unless they bring a name."""
        for limit in found:
            where = f"{' '.join(sorted(entry.methods or (WEBSOCKET,)))} {entry.path}"
            taken = self._limit_names.values()
            names = (where, f"{where} {limit.rate}", *(f"{where} {limit.rate} {number}" for number in range(2, 99)))
            free = next((name for name in names if name not in taken), where)
            self._limit_names.setdefault(limit, limit.scope or free)
        return {limit: self._limit_names[limit] for limit in found}

    def _app(self, flat: BaseRoute) -> ASGIApp:
        if isinstance(flat, APIRoute):
            return path_operation(flat, self._overrides)
        return flat.handle if isinstance(flat, Mount) else getattr(flat, "app", flat.handle)

    def _flat(self, entry: Owned[Routes], context: RouteContext, route: BaseRoute, base: str, label: str) -> BaseRoute:
        path = base + (context.path or "")
        if isinstance(route, APIRoute):
            return self._flat_api_route(entry, context, route, path, label)
        if isinstance(route, APIWebSocketRoute):
            return type(route)(
                path,
                route.endpoint,
                name=route.name,
                dependencies=context.dependencies,
                dependency_overrides_provider=self._overrides,
            )
        if isinstance(route, Route):
            return Route(path, route.endpoint, methods=list(route.methods or ()) or None, name=route.name)
        if isinstance(route, WebSocketRoute):
            return WebSocketRoute(path, route.endpoint, name=route.name)
        if isinstance(route, Mount):
            return Mount(path, route.app, name=route.name)
        raise TypeError(f"{type(route).__name__} routes can't be composed: use path operations, WebSockets or mounts")

    def _flat_api_route(
        self, entry: Owned[Routes], context: RouteContext, route: APIRoute, path: str, label: str
    ) -> APIRoute:
        is_included = context.dependant is not route.dependant  # by a router of its own, which may add to it
        if not is_included and _names_nothing_after_its_path(route):
            return self._moved(entry, route, path, label)
        inherited = {name: getattr(context, name) for name in _INHERITED}
        inherited["dependencies"] = [needed for needed in context.dependencies if needed.dependency is not public]
        if context.stream_item_type is not None:  # FastAPI finds it again where no response model is stated
            inherited["response_model"] = Default(None)
        tags = list(context.tags) or [entry.plugin]
        return type(route)(
            path,
            route.endpoint,
            **inherited,
            tags=tags,
            methods=context.methods,
            openapi_extra={"x-plugin": label, **(context.openapi_extra or {})},
            dependency_overrides_provider=self._overrides,
            form_limits={**entry.value.router.form_limits, **route.form_limits},
            generate_unique_id_function=self._operation_id(entry.plugin, entry.value.version),
        )

    def _moved(self, entry: Owned[Routes], route: APIRoute, path: str, label: str) -> APIRoute:
        """A copy of a route at another path.

        FastAPI has analysed the endpoint when the route was declared; making the route again would
        repeat that, for half a millisecond per route.
        """
        moved: APIRoute = copy(route)
        moved.path = path
        moved.path_regex, moved.path_format, moved.param_convertors = compile_path(path)
        moved.tags = list(route.tags) or [entry.plugin]
        moved.openapi_extra = {"x-plugin": label, **(route.openapi_extra or {})}
        moved.dependency_overrides_provider = self._overrides
        moved.form_limits = {**entry.value.router.form_limits, **route.form_limits}
        moved.unique_id = route.operation_id or self._operation_id(entry.plugin, entry.value.version)(moved)
        # `public` has been read by now, and running it would cost each request some microseconds.
        dependencies = [inner for inner in route.dependant.dependencies if inner.call is not public]
        moved.dependant = replace(route.dependant, path=moved.path_format, dependencies=dependencies)
        return moved

    def _operation_id(self, plugin: str, version: str | None) -> Callable[[Any], str]:
        taken = self._operation_ids  # not this object: routes keep the function, and it keeps all routes made before

        def unique_id(route: Any) -> str:
            short = f"{route.tags[0]}-{route.name}"
            long = f"{short}-{version or 'root'}"
            longest = f"{plugin}-{long}-{'-'.join(sorted(route.methods))}{route.path_format}"
            chosen = next((name for name in (short, long) if name not in taken), longest)
            taken.add(chosen)
            return chosen

        return unique_id


def unavailable(entry: OwnedRoute) -> OwnedRoute:
    """The same route, answering 503 because its plugin could not start."""

    async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise PluginUnavailable(headers={"Retry-After": "60"})

    return replace(entry, app=refuse)


def _names_nothing_after_its_path(route: APIRoute) -> bool:
    """Whether a route can be moved: bodies put together of several parameters, and models of further
    responses, get names of their operation id, and limited bodies are limited when the route is made."""
    embeds_body = getattr(route, "_embed_body_fields", True)
    return not (embeds_body or route.response_fields or route.max_body_size is not None)


_INHERITED = (
    "response_model",
    "status_code",
    "summary",
    "description",
    "response_description",
    "responses",
    "deprecated",
    "name",
    "operation_id",
    "response_model_include",
    "response_model_exclude",
    "response_model_by_alias",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
    "include_in_schema",
    "response_class",
    "callbacks",
    "strict_content_type",
    "max_body_size",
)


def _access(dependant: Dependant | None) -> Access | None:
    declared = (getattr(call, "access", None) for call in _calls(dependant))
    found = [access for access in declared if isinstance(access, Access)]
    return max(found, key=lambda access: _STRICTNESS[access.kind], default=None)


def _own_access(endpoint: Any) -> Access | None:
    """What an endpoint without dependencies, an ASGI application, says itself."""
    access = getattr(endpoint, "access", None)
    return access if isinstance(access, Access) else None


def _calls(dependant: Dependant | None) -> Iterator[Any]:
    """What a route calls: its endpoint, and what that depends on."""
    if dependant is not None:
        yield dependant.call
        for inner in dependant.dependencies:
            yield from _calls(inner)
