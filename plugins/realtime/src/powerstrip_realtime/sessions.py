"""What a connection may do once it has signed in: listen, catch up, stop listening."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from powerstrip import Clock, EventLog, Identity, LogEntry, LogPosition
from powerstrip_realtime.connections import Connection
from powerstrip_realtime.domain import PROTOCOL
from powerstrip_realtime.errors import InvalidPosition, TooManyTopics
from powerstrip_realtime.frames import Frame, notice, reply
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.settings import LimitSettings
from powerstrip_realtime.topics import Topics


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was missed: the frames, and whether that is all."""

    frames: list[Frame]
    recovered: bool | None
    """None when nobody asked."""


class Sessions:
    """Subscriptions of connections, and what they missed."""

    def __init__(self, hub: Hub, log: EventLog, topics: Topics, limits: LimitSettings, clock: Clock) -> None:
        self._hub = hub
        self._log = log
        self._topics = topics
        self._limits = limits
        self._clock = clock

    async def open(
        self, connection: Connection, identity: Identity, wanted: Sequence[str], since: LogPosition | None
    ) -> None:
        """Subscribe a new connection to what is its own and what it wants, say so, and send what it missed.

        Raises UnknownTopic, TopicForbidden, TooManyTopics; nothing is subscribed then.
        """
        topics = list(dict.fromkeys([*self._topics.automatic(identity), *wanted]))
        if len(topics) > self._limits.topics:
            raise TooManyTopics
        for topic in wanted:
            await self._topics.check(identity, topic)
        connection.outlet.hold()
        now = self._hub.position
        for topic in topics:
            self._hub.listen(connection, topic)
        caught_up = await self._catch_up(topics, since, now)
        data = {
            "protocol": PROTOCOL,
            "user_id": identity.id,
            "topics": topics,
            "recovered": caught_up.recovered,
            "replayed": len(caught_up.frames),
        }
        # The position comes with the last frame that is replayed: who is cut off before has to ask again.
        position = since if since is not None and caught_up.frames else now
        hello = notice("connected", self._clock.now(), data, position=str(position))
        connection.outlet.release([hello, *caught_up.frames])

    async def subscribe(self, connection: Connection, to: Any, topic: str, since: LogPosition | None) -> None:
        """Listen to one more topic; `to` is the command that is answered, and what was missed follows the answer.

        Raises UnknownTopic, TopicForbidden, TooManyTopics.
        """
        await self._topics.check(_identity(connection), topic)
        if topic not in connection.topics and len(connection.topics) >= self._limits.topics:
            raise TooManyTopics
        now = self._hub.position if topic in connection.topics else self._hub.listen(connection, topic)
        await self._answer(connection, to, [topic], since, now)

    async def resume(self, connection: Connection, to: Any, since: LogPosition) -> None:
        """Send what was missed in all topics of a connection, after the answer."""
        # Shown again only to those who still may.
        for topic in connection.topics:
            await self._topics.check(_identity(connection), topic)
        await self._answer(connection, to, list(connection.topics), since, self._hub.position)

    async def _answer(
        self, connection: Connection, to: Any, topics: list[str], since: LogPosition | None, now: LogPosition
    ) -> None:
        connection.outlet.hold()
        frames: list[Frame] = []
        try:
            caught_up = await self._catch_up(topics, since, now)
            data = {
                "topics": topics,
                "position": str(now),
                "recovered": caught_up.recovered,
                "replayed": len(caught_up.frames),
            }
            frames = [reply(to, data), *caught_up.frames]
        finally:
            connection.outlet.release(frames)

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        self._hub.unlisten(connection, topic)

    async def _catch_up(self, topics: Iterable[str], since: LogPosition | None, now: LogPosition) -> CaughtUp:
        if since is None:
            return CaughtUp([], None)
        entries: list[LogEntry] = []
        for topic in list(topics):
            replay = await self._log.since(topic, since)
            if not replay.is_complete:
                return CaughtUp([], recovered=False)  # never a part of it: the client has to load anew
            # What came after `now` comes by itself.
            entries += [entry for entry in replay.entries if entry.position.offset <= now.offset]
        entries.sort(key=lambda entry: entry.position.offset)
        return CaughtUp([self._hub.frame(entry) for entry in entries], recovered=True)


def _identity(connection: Connection) -> Identity:
    if connection.identity is None:
        raise RuntimeError("nobody listens before signing in")
    return connection.identity


def position_of(text: str | None) -> LogPosition | None:
    """The position a client states. Raises InvalidPosition."""
    if not text:
        return None
    try:
        return LogPosition.parse(text)
    except ValueError:
        raise InvalidPosition from None
