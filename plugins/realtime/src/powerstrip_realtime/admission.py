"""Who may connect: where the page is from, who the caller is, and how many there are already."""

import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi.requests import HTTPConnection

from powerstrip import Authenticator, Identity, Problem, identity_of
from powerstrip_realtime.domain import PROTOCOL, TICKET_PREFIX, TOKEN_PREFIX
from powerstrip_realtime.errors import OriginNotAllowed, SignInRequired
from powerstrip_realtime.tickets import Tickets

logger = logging.getLogger(__name__)

_MOST_ORIGINS_TOLD = 100
_LONGEST_ORIGIN = 200


class Admission:
    """Judges handshakes."""

    def __init__(
        self, origins: Collection[str], tickets: Tickets, authenticator: Authenticator | None, *, first_message: bool
    ) -> None:
        self._origins = frozenset(origins)
        self._tickets = tickets
        self._authenticator = authenticator
        self._first_message = first_message
        self._origins_told: set[str] = set()

    def check_origin(self, connection: HTTPConnection) -> None:
        """Refuse pages of foreign origins: a browser connects for any page, and may send cookies along (CSWSH).

        Raises OriginNotAllowed. Programs send no Origin, and may connect.
        """
        origins = connection.headers.getlist("origin")
        if not origins or "*" in self._origins:
            return
        [origin, *others] = origins
        own = {connection.headers.get("host", "").lower()}
        if others or not (origin.lower() in self._origins or _host_of(origin) in own):
            self._tell_of(origin[:_LONGEST_ORIGIN])
            raise OriginNotAllowed

    def _tell_of(self, origin: str) -> None:
        # An attack, or a page that the operator has forgotten: a line for each origin, not for each attempt.
        if origin not in self._origins_told and len(self._origins_told) < _MOST_ORIGINS_TOLD:
            self._origins_told.add(origin)
            logger.warning("pages of an origin that is not allowed are refused", extra={"origin": origin})

    async def identify(self, connection: HTTPConnection) -> Identity | None:
        """Who connects, by whatever credentials the head of the request brings.

        None for somebody who brings none and may sign in by the first message. Raises SignInRequired, or what is wrong
        with the credentials.
        """
        ticket = connection.query_params.get("ticket") or _offered(connection, TICKET_PREFIX)
        if ticket:
            return await self._tickets.redeem(ticket)
        token = _offered(connection, TOKEN_PREFIX)
        if token:
            return await self.by_token(token)
        problem: Problem | None = connection.scope.get("state", {}).get("identity_problem")
        if problem is not None:
            raise problem
        identity = identity_of(connection)
        if identity is not None:
            return identity
        if self._first_message and PROTOCOL in connection.scope.get("subprotocols", ()):
            return None
        raise SignInRequired

    async def by_token(self, token: str) -> Identity:
        """Whose token it is. Raises a Problem for one that won't do."""
        if self._authenticator is None:
            raise SignInRequired("Tokens can't be read here: send the Authorization header, or use a ticket.")
        return await self._authenticator.authenticate(token)

    async def by_ticket(self, ticket: str) -> Identity:
        """Whose ticket it is. Raises InvalidTicket."""
        return await self._tickets.redeem(ticket)


def subprotocol_of(connection: HTTPConnection) -> str | None:
    """What to answer to the subprotocols that a client offers: ours, never one that is a secret."""
    return PROTOCOL if PROTOCOL in connection.scope.get("subprotocols", ()) else None


def _offered(connection: HTTPConnection, prefix: str) -> str | None:
    offered = connection.scope.get("subprotocols", ())
    return next((entry.removeprefix(prefix) for entry in offered if entry.startswith(prefix)), None)


def _host_of(origin: str) -> str | None:
    """The host and port of an origin, as a browser writes them into `Host`."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None
