"""Looking for a key in each request."""

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_apikeys.errors import InvalidApiKey
from powerstrip_apikeys.service import KeyHolders


class KeyInterceptor(Interceptor):
    """Turns a key in `header`, or else in `Authorization: Bearer KEY` (RFC 6750), into the request's identity.

    A key that nobody holds makes a stranger of the caller, not an error: routes that anyone may call answer anyone,
    and all others say why the key didn't do.
    """

    stage = Stage.IDENTIFY
    writes = frozenset(("identity", "identity_problem"))

    def __init__(self, header: str, holders: KeyHolders) -> None:
        self._header = header
        self._raw_header = header.lower().encode("ascii")
        self._holders = holders

    def on_request(self, exchange: Exchange) -> None:
        headers = exchange.headers
        key = headers.get_raw(self._raw_header) or _bearer_token(headers.get_raw(b"authorization"))
        if not key:
            return
        identity = self._holders.find(key)
        state = exchange.scope["state"]
        if identity is None:
            state["identity_problem"] = InvalidApiKey()
        else:
            state["identity"] = identity

    def on_response(self, exchange: Exchange) -> None:
        # Shared caches keep answers to `Authorization` apart by themselves (RFC 9111, 3.5), but know no other header.
        exchange.response_headers.add_vary(self._header)


def _bearer_token(authorization: bytes | None) -> bytes | None:
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
