"""Refuses bodies that say they are too large, before a byte of them is read."""

from typing import ClassVar

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.domain.body_size import BodyLimits, hanging_up, too_large
from powerstrip_edge.errors import InvalidBodyLength
from powerstrip_edge.settings import EdgeSettings

# More digits than any length that a server could take; int() of millions of them takes seconds.
_MOST_DIGITS = 18


class BodyLength(Interceptor):
    """Checks `Content-Length`; where a body may follow, `body_limit` in the state says how much of it is read."""

    stage = Stage.EDGE
    writes: ClassVar[frozenset[str]] = frozenset(("body_limit",))

    def __init__(self, settings: EdgeSettings) -> None:
        self._limits = BodyLimits(settings.max_body_size, settings.max_body_sizes)

    def on_request(self, exchange: Exchange) -> None:
        headers, scope = exchange.headers, exchange.scope
        length = headers.get_raw(b"content-length")
        chunked = headers.get_raw(b"transfer-encoding")
        if scope["type"] != "http" or (length is None and chunked is None and scope["http_version"] < "2"):
            return  # HTTP/1 frames every body with one of the two (RFC 9112, 6.3)
        limit = self._limits.of(scope["path"])
        if length is not None:
            self._check(exchange, length, limit, chunked=chunked is not None)
        if limit is not None:
            scope["state"]["body_limit"] = limit

    def _check(self, exchange: Exchange, length: bytes, limit: int | None, *, chunked: bool) -> None:
        agree = len(set(exchange.headers.getlist("content-length"))) == 1
        if chunked or not agree or not length.isdigit() or len(length) > _MOST_DIGITS:
            raise InvalidBodyLength(headers=hanging_up(exchange.scope))
        if limit is not None and int(length) > limit:
            raise too_large(exchange.scope, limit)
