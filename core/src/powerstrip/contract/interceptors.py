"""Looking at requests and responses on their way."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from starlette.datastructures import State
from starlette.types import Scope

from powerstrip.contract.routes import RouteInfo

RawHeaders = list[tuple[bytes, bytes]]
FindRoute = Callable[[Scope], RouteInfo | None]


class Stage(IntEnum):
    """A named place in the request path, outermost first."""

    OBSERVE = 0
    EDGE = 1
    IDENTIFY = 2
    GUARD = 3
    CONTENT = 4


class RequestHeaders(Mapping[str, str]):
    """The request's headers, read only; names without regard to case, the first of equal names wins."""

    __slots__ = ("_first", "_raw")

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = raw
        self._first = dict(reversed(raw))

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower().encode("latin-1")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        value = self._first.get(name.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def get_raw(self, name: bytes) -> bytes | None:
        """The bytes of a header whose lower-case name is `name`: no decoding, for the hot path."""
        return self._first.get(name)

    def getlist(self, name: str) -> list[str]:
        """The values of all headers of that name, in order."""
        wanted = name.lower().encode("latin-1")
        return [value.decode("latin-1") for key, value in self._raw if key == wanted]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower().encode("latin-1") in self._first

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in dict(self._raw))

    def __len__(self) -> int:
        return len(self._first)


class ResponseHeaders(MutableMapping[str, str]):
    """The response's headers: assigning replaces, `append` adds another of the same name."""

    __slots__ = ("raw",)

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1")
        for key, value in self.raw:
            if key == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        self.set_raw(name.lower().encode("latin-1"), value.encode("latin-1"))

    def set_raw(self, name: bytes, value: bytes) -> None:
        """Set a header of a lower-case name: no encoding, for the hot path."""
        for key, _ in self.raw:
            if key == name:
                self.raw[:] = [pair for pair in self.raw if pair[0] != name]
                break
        self.raw.append((name, value))

    def append(self, name: str, value: str) -> None:
        self.raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def add_vary(self, name: str) -> None:
        """Say that the response depends on the request's header `name` (RFC 9110, 12.5.5)."""
        listed = [value for key, value in self.raw if key == b"vary"]
        if listed:
            names = {part.strip() for part in b",".join(listed).decode("latin-1").lower().split(",")}
            if names & {"*", name.lower()}:
                return
        # Another line rather than a longer one: lines of one name are one list (RFC 9110, 5.3).
        self.append("vary", name)

    def __delitem__(self, name: str) -> None:
        wanted = name.lower().encode("latin-1")
        kept = [pair for pair in self.raw if pair[0] != wanted]
        if len(kept) == len(self.raw):
            raise KeyError(name)
        self.raw[:] = kept

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in dict(self.raw))

    def __len__(self) -> int:
        return len(dict(self.raw))


class Exchange:
    """One request and, once it is on its way, its response.

    `state` is the same as `request.state`. `status` and `response_headers` are there in
    `on_response` only.
    """

    __slots__ = ("_find_route", "_headers", "response_headers", "scope", "status")

    status: int
    response_headers: ResponseHeaders

    def __init__(self, scope: Scope, find_route: FindRoute) -> None:
        self.scope = scope
        self._find_route = find_route
        self._headers: RequestHeaders | None = None

    @property
    def headers(self) -> RequestHeaders:
        if self._headers is None:
            self._headers = RequestHeaders(self.scope["headers"])
        return self._headers

    @property
    def route(self) -> RouteInfo | None:
        """The route that will answer if nothing else does first; None where none will, as for 404 and 405.

        It is looked up once: asking costs what the request would have paid later.
        """
        return self._find_route(self.scope)

    @property
    def state(self) -> State:
        return State(self.scope["state"])


class Interceptor:
    """Looks at a request's head and a response's head.

    `on_request` may answer at once by returning a `Response`: nothing further inside runs.
    `on_response` runs, inside out, for each interceptor whose `on_request` returned, whatever made
    the response: a route, another interceptor, an exception. Both may be `async`. A WebSocket's
    handshake passes both, too: accepted, it is a response with status 101.

    `reads` and `writes` name keys of `exchange.state`: a reader placed outside its writer is a
    finding, never a surprise. `paths` and the like belong in the plugin's settings.
    """

    stage: ClassVar[Stage] = Stage.CONTENT
    reads: ClassVar[frozenset[str]] = frozenset()
    writes: ClassVar[frozenset[str]] = frozenset()

    def on_request(self, exchange: Exchange) -> Any:
        """Return nothing, or a `Response` that answers at once."""

    def on_response(self, exchange: Exchange) -> Any:
        """Change the response's headers; what it returns is ignored."""


@dataclass(frozen=True, init=False)
class Middleware:
    """A pure ASGI class for what must see bodies, called as `cls(app, **options)`.

    Starlette's `BaseHTTPMiddleware` is refused: it costs about 130 µs a request and breaks
    streaming, cancellation and context variables.
    """

    cls: Any
    stage: Stage = Stage.CONTENT
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        cls: Any,
        stage: Stage = Stage.CONTENT,
        *,
        reads: frozenset[str] = frozenset(),
        writes: frozenset[str] = frozenset(),
        **options: Any,
    ) -> None:
        for name, value in (("cls", cls), ("stage", stage), ("reads", reads), ("writes", writes), ("options", options)):
            object.__setattr__(self, name, value)
