"""build and serve: which route answers. Most specific first, at a cost that does not grow with their number."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.routing import Match, Mount, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from powerstrip.contract.findings import Finding
from powerstrip.contract.problems import MethodNotAllowed, NotFound
from powerstrip.contract.services import Services
from powerstrip.host.routes import WEBSOCKET, OwnedRoute

_PARAMETER = re.compile(r"{[a-zA-Z_][a-zA-Z0-9_]*(?::([a-zA-Z_][a-zA-Z0-9_]*))?}")
_PATH = "{path}"
# A float is also what an integer looks like, and so on. Convertors that plugins register come before all of these.
_WIDTH: Mapping[str, int] = {"{uuid}": 1, "{int}": 2, "{float}": 3, "{str}": 4}

PathParams = dict[str, Any]


def shape_of(path: str) -> str:
    """A path template without the parameters' names: `/users/{id:uuid}/` and `/users/{user:uuid}` are one shape."""
    shape = _PARAMETER.sub(lambda parameter: f"{{{parameter[1] or 'str'}}}", path)
    return shape.rstrip("/") or "/"


class RouteIndex:
    """An ASGI application that hands each request to the most specific route.

    Segment by segment, a literal comes before a mixed segment (`{name}.json`), that before a typed
    parameter, that before a plain one, and paths of any depth (`{rest:path}`, mounts) come last.
    Whether a candidate matches is for its own compiled expression to say: convertors, `scope`
    entries, 405 and path parameters are FastAPI's. Where a literal path has not the method, a parameter
    takes it only if its type does.
    """

    def __init__(self, router: APIRouter, routes: Sequence[OwnedRoute]) -> None:
        self.routes = tuple(routes)
        self.services: Services | None = None  # there once the generation has started
        self._router = router
        self._root = _Node()
        self._literal: dict[tuple[str, str], OwnedRoute] = {}
        for entry in routes:
            self._root.add(_segments(shape_of(entry.path)), entry)
            self._add_literal(entry)
        self._root.sort()

    def _add_literal(self, entry: OwnedRoute) -> None:
        answered = _answered(entry)
        if "{" in entry.path or answered is None:
            return
        plain = entry.path.rstrip("/") or "/"
        for method in answered:
            for path in (plain, plain + "/"):
                if method in (entry.methods or ()):
                    self._literal[method, path] = entry
                else:
                    self._literal.setdefault((method, path), entry)

    def find(self, kind: str, method: str, path: str) -> tuple[OwnedRoute, PathParams]:
        """The route that answers; raises NotFound, or MethodNotAllowed with the methods that would do."""
        entry = self._literal.get((method, path))
        if entry is not None and kind == "http":
            return entry, {}
        allowed: set[str] = set()
        is_literal = False
        for entry, params in self.matching(kind, path):
            if is_literal and not _takes(entry, params):
                continue
            is_literal = is_literal or not params
            answered = _answered(entry)
            if answered is None or method in answered:
                return entry, params
            allowed |= answered
        if allowed:
            raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(allowed))})
        raise NotFound

    def matching(self, kind: str, path: str) -> Iterator[tuple[OwnedRoute, PathParams]]:
        """Every route whose path fits, whatever its methods, most specific first."""
        for entry in self._root.candidates(_segments(path), 0):
            if isinstance(entry.route, WebSocketRoute) == (kind == "websocket") or isinstance(entry.route, Mount):
                params = _params(entry, path)
                if params is not None:
                    yield entry, params

    def route_of(self, scope: Scope) -> OwnedRoute | None:
        """The route that will answer a request, or None."""
        try:
            return self._found(scope)[0]
        except (MethodNotAllowed, NotFound):
            return None

    def _found(self, scope: Scope) -> tuple[OwnedRoute, PathParams]:
        """What `find` finds for a request; looked up again only if something has changed where it goes."""
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        asked = (self, scope.get("method", WEBSOCKET), path)
        found = scope.get("powerstrip.found")
        if found is None or found[0] != asked:
            found = scope["powerstrip.found"] = (asked, self.find(scope["type"], asked[1], path))
        entry, params = found[1]
        return entry, params

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._router.lifespan(scope, receive, send)
            return
        entry, params = self._found(scope)
        method = scope.get("method", WEBSOCKET)
        scope["powerstrip.owner"] = entry.plugin
        scope["powerstrip.route"] = entry
        call = scope.get("powerstrip.call")
        if call is not None:
            call.owner = entry.plugin
        scope["powerstrip.services"] = self.services
        scope["router"] = self._router
        scope["route"] = entry.route
        if isinstance(entry.route, Mount):
            _enter_mount(entry.route, scope)
        else:
            scope["endpoint"] = entry.endpoint
            scope["path_params"] = {**scope["path_params"], **params} if "path_params" in scope else params
        if method == "HEAD" and entry.methods is not None and "HEAD" not in entry.methods:
            send = _without_body(send)
        await entry.app(scope, receive, send)

    def conflicts(self) -> Iterator[tuple[OwnedRoute, Finding]]:
        """Routes with the same method and the same shape as an earlier one: which answers would be chance."""
        taken: dict[tuple[str, str], OwnedRoute] = {}
        for entry in self.routes:
            shape = shape_of(entry.path)
            for method in _declared(entry):
                first = taken.setdefault((method, shape), entry)
                if first is not entry:
                    yield entry, _conflict(method, first, entry)
                    break

    def shadows(self) -> Iterator[tuple[OwnedRoute, Finding]]:
        """Routes that take some of the paths of another plugin's less specific route."""
        for entry in self.routes:
            if "{" in entry.path or isinstance(entry.route, Mount):
                continue
            kind = "websocket" if isinstance(entry.route, WebSocketRoute) else "http"
            for other, _ in self.matching(kind, entry.path):
                same_method = set(_declared(entry)) & set(_declared(other)) or isinstance(other.route, Mount)
                if other.plugin != entry.plugin and same_method:
                    yield entry, _shadow(entry, other)


class _Node:
    """One segment of the paths: what ends here, what goes on, and what swallows the rest."""

    __slots__ = ("ends", "literals", "parameters", "tails")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameters: dict[str, _Node] = {}
        self.ends: list[OwnedRoute] = []
        self.tails: list[OwnedRoute] = []

    def add(self, segments: Sequence[str], entry: OwnedRoute) -> None:
        if segments and _PATH in segments[0]:
            self.tails.append(entry)
        elif segments:
            children = self.parameters if "{" in segments[0] else self.literals
            children.setdefault(segments[0], _Node()).add(segments[1:], entry)
        elif isinstance(entry.route, Mount):
            self.tails.append(entry)
        else:
            self.ends.append(entry)

    def sort(self) -> None:
        self.parameters = dict(sorted(self.parameters.items(), key=lambda item: _specificity(item[0])))
        # An explicit HEAD route comes before the one that a GET route implies.
        self.ends.sort(key=lambda entry: entry.methods is None or "HEAD" not in entry.methods)
        self.tails.sort(key=lambda entry: (isinstance(entry.route, Mount), -len(shape_of(entry.path)), entry.path))
        for child in (*self.literals.values(), *self.parameters.values()):
            child.sort()

    def candidates(self, segments: Sequence[str], depth: int) -> Iterator[OwnedRoute]:
        if depth == len(segments):
            yield from self.ends
        else:
            child = self.literals.get(segments[depth])
            if child is not None:
                yield from child.candidates(segments, depth + 1)
            for child in self.parameters.values():
                yield from child.candidates(segments, depth + 1)
        yield from self.tails


def _segments(path: str) -> list[str]:
    segments = path.split("/")[1:]
    if segments and not segments[-1]:
        segments.pop()
    return segments


def _specificity(segment: str) -> tuple[int, int, str]:
    """Sorts segments: narrow ones first, so that each parameter takes what no narrower one does."""
    literal = len(re.sub(r"{\w+}", "", segment))
    if literal:
        return (0, -literal, segment)
    return (1, _WIDTH.get(segment, 0), segment)


def _params(entry: OwnedRoute, path: str) -> PathParams | None:
    """The converted path parameters, or None; `/users` and `/users/` are the same resource."""
    regex = entry.route.path_regex  # type: ignore[attr-defined]
    other = path[:-1] if path.endswith("/") else f"{path}/"
    found = regex.match(path) or regex.match(other)
    if found is None:
        return None
    convertors = entry.route.param_convertors  # type: ignore[attr-defined]
    return {name: convertors[name].convert(text) for name, text in found.groupdict().items()}


def _takes(entry: OwnedRoute, params: PathParams) -> bool:
    """Whether the types of a path operation's own parameters take what stands in the path. Asked where a literal path
    is spelled the same: `DELETE /users/audit` is no attempt to delete a user whose id is a UUID."""
    fields = entry.route.dependant.path_params if isinstance(entry.route, APIRoute) else ()
    return not any(field.validate(params.get(field.alias))[1] for field in fields)


def _enter_mount(mount: Mount, scope: Scope) -> None:
    match, child_scope = mount.matches(scope)
    if match is Match.NONE:  # `/static` is the same as `/static/`
        scope["path"] = f"{scope['path']}/"
        match, child_scope = mount.matches(scope)
    scope.update(child_scope)


def _declared(entry: OwnedRoute) -> Iterable[str]:
    if isinstance(entry.route, WebSocketRoute):
        return (WEBSOCKET,)
    return sorted(entry.methods) if entry.methods else ("*",)


def _answered(entry: OwnedRoute) -> frozenset[str] | None:
    """The methods it answers, None for all: GET implies HEAD (RFC 9110, 9.1)."""
    methods = entry.methods
    return methods | {"HEAD"} if methods is not None and "GET" in methods else methods


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


def _conflict(method: str, first: OwnedRoute, second: OwnedRoute) -> Finding:
    return Finding(
        code="route.conflict",
        message=f"{method} {second.path} of plugin '{second.plugin}' ({second.source}) is also answered by "
        f"plugin '{first.plugin}' ({first.source})",
        hint="switch one of them off, or give one a `prefix` in its section",
        plugin=second.plugin,
    )


def _shadow(entry: OwnedRoute, other: OwnedRoute) -> Finding:
    return Finding(
        code="route.shadow",
        message=f"{entry.path} of plugin '{entry.plugin}' ({entry.source}) takes a path of "
        f"{other.path} of plugin '{other.plugin}' ({other.source})",
        hint="fine when it is meant; else give one of them a `prefix` in its section",
        level="warning",
        plugin=entry.plugin,
    )
