"""One-time tickets: a way in for browsers, whose WebSockets and event streams can't send a header."""

import asyncio
import hashlib
import secrets
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from powerstrip import Clock, Event, EventBus, EventLog, Identity, RateLimitExceeded
from powerstrip_realtime.errors import InvalidTicket
from powerstrip_realtime.settings import SignInSettings

TOPIC = "realtime.ticket"
_BYTES = 32
_LENGTH = 43  # of that many bytes in base64url
_MOST = 100_000
# A ticket may be used in another process before that one has heard of it.
_NEWS_TAKE = 2.0


class TooManyTickets(RateLimitExceeded):
    message = "You have too many unused tickets."


@dataclass(frozen=True, slots=True)
class _Ticket:
    identity: Identity
    expires: float


class Tickets:
    """Issues tickets and takes them back, in any process; each is taken once.

    Only the hash of a ticket is kept and told to other processes. A ticket dies with the session it was made in.
    """

    def __init__(self, settings: SignInSettings, bus: EventBus, log: EventLog, clock: Clock) -> None:
        self._settings = settings
        self._bus = bus
        self._log = log
        self._clock = clock
        self._known: OrderedDict[str, _Ticket] = OrderedDict()  # the oldest first
        self._of_user: Counter[str] = Counter()
        self._news = asyncio.Condition()

    @property
    def lifetime(self) -> float:
        """Seconds."""
        return self._settings.ticket_lifetime

    async def issue(self, identity: Identity) -> str:
        """A ticket for somebody who has signed in. Raises TooManyTickets."""
        self._forget_expired()
        if self._of_user[identity.id] >= self._settings.tickets_per_user:
            raise TooManyTickets
        ticket = secrets.token_urlsafe(_BYTES)
        await self._bus.publish(Event(TOPIC, TOPIC, {"hash": _hash(ticket), "identity": _facts(identity)}))
        return ticket

    async def redeem(self, ticket: str) -> Identity:
        """Whose ticket it is; it can't be used again. Raises InvalidTicket, and a Problem when that can't be told."""
        if len(ticket) != _LENGTH or not ticket.isascii():
            raise InvalidTicket
        key = _hash(ticket)
        found = await self._wait_for(key)
        self._forget_expired()
        if found is None or key not in self._known:
            raise InvalidTicket
        self._forget(key)
        if not await self._log.claim(f"ticket:{key}", 2 * self._settings.ticket_lifetime):
            raise InvalidTicket
        return found.identity

    async def on_event(self, event: Event) -> None:
        """A ticket was issued, in this process or another one."""
        identity = Identity(
            **{
                **event.data["identity"],
                "roles": frozenset(event.data["identity"]["roles"]),
                "permissions": frozenset(event.data["identity"]["permissions"]),
            }
        )
        self._known[event.data["hash"]] = _Ticket(identity, self._clock.monotonic() + self._settings.ticket_lifetime)
        self._of_user[identity.id] += 1
        while len(self._known) > _MOST:
            self._forget(next(iter(self._known)))
        async with self._news:
            self._news.notify_all()

    async def on_access_change(self, event: Event) -> None:
        """Forget the tickets of those who may no longer do what they could."""
        data = event.data
        if not (isinstance(data, dict) and data.get("access_changed")):
            return
        users = {str(user_id) for user_id in (*(data.get("user_ids") or ()), data.get("user_id"))}
        for key in [key for key, ticket in self._known.items() if ticket.identity.id in users]:
            self._forget(key)

    async def _wait_for(self, key: str) -> _Ticket | None:
        if key not in self._known and self._log.is_shared:
            try:
                async with asyncio.timeout(_NEWS_TAKE), self._news:
                    await self._news.wait_for(lambda: key in self._known)
            except TimeoutError:
                return None
        return self._known.get(key)

    def _forget(self, key: str) -> None:
        ticket = self._known.pop(key, None)
        if ticket is not None:
            self._of_user[ticket.identity.id] -= 1
            if not self._of_user[ticket.identity.id]:
                del self._of_user[ticket.identity.id]

    def _forget_expired(self) -> None:
        now = self._clock.monotonic()
        while self._known and next(iter(self._known.values())).expires <= now:
            self._forget(next(iter(self._known)))


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def _facts(identity: Identity) -> Mapping[str, Any]:
    return {
        "id": identity.id,
        "name": identity.name,
        "roles": sorted(identity.roles),
        "permissions": sorted(identity.permissions),
        "session_id": identity.session_id,
    }
