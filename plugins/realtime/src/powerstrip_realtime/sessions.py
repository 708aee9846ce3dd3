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

    position: LogPosition
    """What comes after this comes by itself."""


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
        caught_up = await self._listen(connection, topics, since)
        data = {
            "protocol": PROTOCOL,
            "user_id": identity.id,
            "topics": topics,
            "recovered": caught_up.recovered,
            "replayed": len(caught_up.frames),
        }
        # The position comes with the last frame that is replayed: who is cut off before has to ask again.
        position = since if since is not None and caught_up.frames else caught_up.position
        hello = notice("connected", self._clock.now(), data, position=str(position))
        connection.outlet.release([hello, *caught_up.frames])

    async def subscribe(self, connection: Connection, to: Any, topic: str, since: LogPosition | None) -> None:
        """Listen to one more topic; `to` is the command that is answered, and what was missed follows the answer.

        Raises UnknownTopic, TopicForbidden, TooManyTopics.
        """
        await self._topics.check(_identity(connection), topic)
        if topic not in connection.topics and len(connection.topics) >= self._limits.topics:
            raise TooManyTopics
        await self._answer(connection, to, [topic], since)

    async def resume(self, connection: Connection, to: Any, since: LogPosition) -> None:
        """Send what was missed in all topics of a connection, after the answer."""
        # Shown again only to those who still may.
        for topic in connection.topics:
            await self._topics.check(_identity(connection), topic)
        await self._answer(connection, to, list(connection.topics), since)

    async def _answer(self, connection: Connection, to: Any, topics: list[str], since: LogPosition | None) -> None:
        connection.outlet.hold()
        frames: list[Frame] = []
        try:
            fresh = [topic for topic in topics if topic not in connection.topics]
            caught_up = await (self._listen(connection, fresh, since) if fresh else self._look_back(topics, since))
            data = {
                "topics": topics,
                "position": str(caught_up.position),
                "recovered": caught_up.recovered,
                "replayed": len(caught_up.frames),
            }
            frames = [reply(to, data), *caught_up.frames]
        finally:
            connection.outlet.release(frames)

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        self._hub.unlisten(connection, topic)

    async def _listen(self, connection: Connection, topics: Sequence[str], since: LogPosition | None) -> CaughtUp:
        """Listen to topics from now on, or from where the client is if that is later: another process may have told it
        what this one has not heard of yet. Then look back."""
        now = self._hub.position
        is_ahead = since is not None and (since.epoch != now.epoch or since.offset > now.offset)
        after = since if since is not None and is_ahead else now
        for topic in topics:
            self._hub.listen(connection, topic, after)
        caught_up = await self._catch_up(topics, since, after)
        if caught_up.recovered is False and after is not now:
            after = self._hub.position
            for topic in topics:
                self._hub.listen(connection, topic, after)
            return CaughtUp([], recovered=False, position=after)
        return caught_up

    async def _look_back(self, topics: Sequence[str], since: LogPosition | None) -> CaughtUp:
        return await self._catch_up(topics, since, self._hub.position)

    async def _catch_up(self, topics: Iterable[str], since: LogPosition | None, until: LogPosition) -> CaughtUp:
        if since is None:
            return CaughtUp([], None, until)
        entries: list[LogEntry] = []
        for topic in list(topics):
            replay = await self._log.since(topic, since)
            if not replay.is_complete:
                return CaughtUp([], recovered=False, position=until)  # never a part of it: the client has to load anew
            # What came after `until` comes by itself.
            entries += [entry for entry in replay.entries if entry.position.offset <= until.offset]
        entries.sort(key=lambda entry: entry.position.offset)
        return CaughtUp([self._hub.frame(entry) for entry in entries], recovered=True, position=until)


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
