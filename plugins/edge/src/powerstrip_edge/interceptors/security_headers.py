"""Tells browsers to be careful with what the API sends."""

from collections.abc import Iterator

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.settings import EdgeSettings, SecurityHeadersSettings

_SECURE = frozenset(("https", "wss"))


class SecurityHeaders(Interceptor):
    """Adds the headers that a response doesn't have; one that a route sets is the route's to decide."""

    stage = Stage.EDGE

    def __init__(self, settings: EdgeSettings) -> None:
        self._plain = tuple(_pairs(settings.security_headers))
        transport = settings.security_headers.strict_transport_security
        secure = ((b"strict-transport-security", transport.encode("ascii")),) if transport else ()
        self._secure = self._plain + secure
        self._names = frozenset(name for name, _ in self._secure)

    def on_response(self, exchange: Exchange) -> None:
        raw = exchange.response_headers.raw
        # Over plain HTTP it must not be sent (RFC 6797, 7.2).
        pairs = self._secure if exchange.scope["scheme"] in _SECURE else self._plain
        present = [name for name, _ in raw]
        if self._names.isdisjoint(present):
            raw += pairs
        else:
            raw += [pair for pair in pairs if pair[0] not in present]


def _pairs(settings: SecurityHeadersSettings) -> Iterator[tuple[bytes, bytes]]:
    values = {
        "x-content-type-options": "nosniff" if settings.content_type_nosniff else None,
        "content-security-policy": settings.content_security_policy,
        "x-frame-options": settings.frame_options,
        "referrer-policy": settings.referrer_policy,
        "cross-origin-opener-policy": settings.cross_origin_opener_policy,
        "cross-origin-resource-policy": settings.cross_origin_resource_policy,
        "permissions-policy": settings.permissions_policy,
    }
    return ((name.encode("ascii"), value.encode("ascii")) for name, value in values.items() if value)
