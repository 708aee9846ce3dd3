"""Looking for an access token in each request."""

from collections.abc import Iterator
from contextlib import contextmanager

from powerstrip import Exchange, Interceptor, Problem, Stage
from powerstrip_users.errors import InvalidToken
from powerstrip_users.identity import Identities


class BearerInterceptor(Interceptor):
    """Turns `Authorization: Bearer TOKEN` (RFC 6750) into the request's identity.

    A token that is not valid makes a stranger of the caller, not an error: routes that anyone may call answer
    anyone, and all others say why the token didn't do.
    """

    stage = Stage.IDENTIFY
    writes = frozenset(("identity", "identity_problem"))

    def __init__(self) -> None:
        self._identities: Identities | None = None

    @contextmanager
    def using(self, identities: Identities) -> Iterator[None]:
        """Ask `identities` until the context is left."""
        self._identities = identities
        try:
            yield
        finally:
            self._identities = None

    def on_request(self, exchange: Exchange) -> None:
        header = exchange.headers.get_raw(b"authorization")
        if header is None or self._identities is None:
            return
        scheme, _, token = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return
        state = exchange.scope["state"]
        try:
            if not token.isascii():
                raise InvalidToken
            state["identity"] = self._identities.identify(token.strip().decode("ascii"))
        except Problem as problem:
            state["identity_problem"] = problem
