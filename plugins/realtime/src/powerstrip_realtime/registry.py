"""All connections of this process: how many there may be, whose they are, and who has to go."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from powerstrip import Clock, Event, HostStatus, Identity
from powerstrip_realtime.connections import Connection, Stream
from powerstrip_realtime.domain import Close, Goodbye
from powerstrip_realtime.errors import TooManyConnections
from powerstrip_realtime.frames import Raw
from powerstrip_realtime.settings import RealtimeSettings

logger = logging.getLogger(__name__)

_LOOK_INTERVAL = 0.25  # seconds between two looks at who has to go


class Registry:
    """Counts connections, finds those of a user or a session, and closes them."""

    def __init__(self, settings: RealtimeSettings, host: HostStatus, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._connections: dict[Connection, None] = {}
        self._of_user: dict[str, tuple[Connection, ...]] = {}  # most users have one
        self._of_network: Counter[str] = Counter()
        self._unidentified: Counter[str] = Counter()
        self._places = 0
        self._is_draining = False
        self._refused = 0

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._connections))

    def of_user(self, user_id: str) -> tuple[Connection, ...]:
        return self._of_user.get(user_id, ())

    def take_place(self, network: str) -> None:
        """Take one of the places that this process has, and that an address has. Raises TooManyConnections."""
        limits = self._settings.limits
        if self._places >= limits.connections or self._of_network[network] >= limits.connections_per_address:
            self._note_refusal(network)
            raise TooManyConnections
        self._places += 1
        self._of_network[network] += 1

    def give_place(self, network: str) -> None:
        """Give it back."""
        self._places -= 1
        _count_down(self._of_network, network)

    @contextmanager
    def unidentified(self, network: str) -> Iterator[None]:
        """One of the places for those who have not signed in yet. Raises TooManyConnections."""
        if self._unidentified[network] >= self._settings.limits.unidentified_per_address:
            self._note_refusal(network)
            raise TooManyConnections
        self._unidentified[network] += 1
        try:
            yield
        finally:
            _count_down(self._unidentified, network)

    def check_user(self, identity: Identity) -> None:
        """Raises TooManyConnections for a user who has as many as one may have."""
        if len(self.of_user(identity.id)) >= self._settings.limits.connections_per_user:
            raise TooManyConnections("You have too many connections.")

    def add(self, connection: Connection, identity: Identity) -> None:
        """Take in a connection that has signed in. Raises TooManyConnections."""
        self.check_user(identity)
        self.renew(connection, identity)
        self._connections[connection] = None
        self._of_user[identity.id] = (*self.of_user(identity.id), connection)
        if self._is_draining:
            connection.close(self._restart())

    def renew(self, connection: Connection, identity: Identity) -> None:
        """Note that a connection has signed in, for the first time or again."""
        connection.identity = identity
        connection.expires = self._clock.monotonic() + self._settings.sign_in.session_lifetime

    def remove(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        identity = connection.identity
        if identity is not None:
            others = tuple(other for other in self.of_user(identity.id) if other is not connection)
            if others:
                self._of_user[identity.id] = others
            else:
                self._of_user.pop(identity.id, None)

    async def on_event(self, event: Event) -> None:
        """Close connections whose user or session may no longer do what it could: see `powerstrip.Identity`."""
        data = event.data
        if not (isinstance(data, dict) and data.get("access_changed")):
            return
        users = [*(data.get("user_ids") or ()), *filter(None, [data.get("user_id")])]
        sessions = data.get("session_ids")
        for user_id in users:
            for connection in self.of_user(str(user_id)):
                if sessions is None:
                    connection.close(Goodbye(Close.ACCESS_CHANGED))
                elif connection.identity is not None and connection.identity.session_id in sessions:
                    connection.close(Goodbye(Close.SESSION_ENDED))

    async def follow(self) -> None:
        """Keep event streams alive, end sessions that are too old, and begin to drain when the host does, for ever."""
        next_heartbeat = self._clock.monotonic() + self._settings.heartbeat
        heartbeat = Raw(": \n\n")
        while True:
            await asyncio.sleep(min(_LOOK_INTERVAL, self._settings.heartbeat))
            if self._host.step == "draining" and not self._is_draining:
                await self.drain()
            now = self._clock.monotonic()
            beats = now >= next_heartbeat
            if beats:
                next_heartbeat = now + self._settings.heartbeat
            for at, connection in enumerate(self):
                if connection.expires <= now:
                    connection.close(Goodbye(Close.SIGN_IN_AGAIN))
                elif beats and isinstance(connection, Stream):
                    connection.outlet.push(heartbeat)
                if at % self._settings.drain_batch == 0:
                    await asyncio.sleep(0)
            self._tell_refusals()

    async def drain(self) -> None:
        """Ask everybody to come back later, some at a time, and wait until they are told."""
        self._is_draining = True
        everybody = tuple(self)
        if everybody:
            logger.info("asking connections to come back later", extra={"connections": len(everybody)})
        size = self._settings.drain_batch
        for start in range(0, len(everybody), size):
            if start:
                await asyncio.sleep(self._settings.drain_pause)
            batch = everybody[start : start + size]
            for connection in batch:
                connection.close(self._restart())
            await wait_until_closed(batch)

    def _restart(self) -> Goodbye:
        spread = self._settings.drain_spread
        return Goodbye(Close.RESTART, retry_ms=round(1000 * random.uniform(0.1, 1.0) * spread))  # noqa: S311 - no secret

    def _note_refusal(self, network: str) -> None:
        if not self._refused:
            logger.warning("connections are refused: there are too many", extra={"network": network})
        self._refused += 1

    def _tell_refusals(self) -> None:
        # An attack is a line now and then, not one for each attempt.
        if self._refused > 1:
            logger.warning("more connections were refused", extra={"refused": self._refused - 1})
        self._refused = 0


async def wait_until_closed(connections: Iterable[Connection]) -> None:
    """Wait until each of them has been told goodbye."""
    for connection in connections:
        await connection.closed()


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
