"""Lets pages of other origins use the API (Fetch standard, CORS protocol)."""

from starlette.responses import Response

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.domain.origins import origin_matcher
from powerstrip_edge.errors import OriginNotAllowed
from powerstrip_edge.settings import EdgeSettings

# An origin is a scheme, a host and a port; no honest one is longer.
_LONGEST_ORIGIN = 300


class CrossOrigin(Interceptor):
    """Answers preflights, and tells browsers which origins may read the answers to other requests."""

    stage = Stage.EDGE

    def __init__(self, settings: EdgeSettings) -> None:
        cors = settings.cors
        self._any_origin = "*" in cors.origins
        self._origins = frozenset(origin.encode("ascii") for origin in cors.origins)
        self._matches = origin_matcher(cors.origin_regex) if cors.origin_regex else None
        self._credentials = ((b"access-control-allow-credentials", b"true"),) if cors.credentials else ()
        self._expose = ", ".join(cors.expose_headers).encode("ascii")
        self._mirror_headers = "*" in cors.headers
        self._preflight = {
            "Access-Control-Allow-Methods": ", ".join(cors.methods),
            "Access-Control-Allow-Headers": ", ".join(cors.headers),
            "Access-Control-Max-Age": str(cors.max_age),
        }

    def on_request(self, exchange: Exchange) -> Response | None:
        scope = exchange.scope
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            return None
        headers = exchange.headers
        origin = headers.get_raw(b"origin")
        if origin is None or headers.get_raw(b"access-control-request-method") is None:
            return None
        if not self._allows(origin):
            raise OriginNotAllowed(headers={"Vary": "Origin"})
        answer = dict(self._preflight)
        if self._mirror_headers:
            answer["Access-Control-Allow-Headers"] = headers.get("access-control-request-headers", "")
            answer["Vary"] = "Access-Control-Request-Headers"
        return Response(None, 204, answer)

    def on_response(self, exchange: Exchange) -> None:
        response = exchange.response_headers
        if not self._any_origin:
            response.add_vary("Origin")
        origin = exchange.headers.get_raw(b"origin")
        if origin is None or not self._allows(origin):
            return
        response.set_raw(b"access-control-allow-origin", b"*" if self._any_origin else origin)
        response.raw += self._credentials
        if self._expose:
            response.raw.append((b"access-control-expose-headers", self._expose))

    def _allows(self, origin: bytes) -> bool:
        if self._any_origin or origin in self._origins:
            return True
        if self._matches is None or len(origin) > _LONGEST_ORIGIN:
            return False
        return self._matches(origin.decode("latin-1"))
