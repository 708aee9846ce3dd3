"""From the log to everybody who listens: each event is encoded once and handed to each connection."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence

from powerstrip import Clock, EventLog, LogEntry, LogListener, LogPosition
from powerstrip_realtime.connections import Connection
from powerstrip_realtime.frames import Frame, event_frame, notice

logger = logging.getLogger(__name__)

AudienceChange = Callable[[str, Connection], None]
"""Called when a connection has begun or ceased to listen to a topic; `connection.topics` says which of the two."""

_AT_ONCE = 500  # connections that are served before others get a turn of the event loop
_BACKLOG = 1_000  # entries that may wait to be handed out before the log is made to wait
_REMEMBERED = 1_000  # frames that are kept to be shared by those who resume
_MOST_TOPICS_CAUGHT_UP = 1_000


class Hub(LogListener):
    """Who listens to what. All its methods but the two the log calls are immediate."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        # With the position up to which each connection has what it needs of the topic.
        self._listeners: dict[str, dict[Connection, LogPosition]] = {}
        self._backlog: deque[LogEntry] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._frames: OrderedDict[LogPosition, Frame] = OrderedDict()
        self._seen = log.position
        self._on_audience_change: AudienceChange = _nobody_cares

    @property
    def position(self) -> LogPosition:
        """What comes after this reaches a connection that listens now."""
        return self._log.position

    def watch(self, on_change: AudienceChange) -> None:
        """Call this for each change of who listens."""
        self._on_audience_change = on_change

    def listen(self, connection: Connection, topic: str, after: LogPosition) -> None:
        """Hand events of a topic to a connection, those after a position only."""
        self._listeners.setdefault(topic, {})[connection] = after
        if topic not in connection.topics:
            connection.topics.append(topic)
            self._on_audience_change(topic, connection)

    def unlisten(self, connection: Connection, topic: str) -> None:
        if topic in connection.topics:
            connection.topics.remove(topic)
        listeners = self._listeners.get(topic)
        if listeners is not None:
            listeners.pop(connection, None)
            if not listeners:
                del self._listeners[topic]
            self._on_audience_change(topic, connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        for topic in list(connection.topics):
            self.unlisten(connection, topic)

    def listeners(self, topic: str) -> Sequence[Connection]:
        return tuple(self._listeners.get(topic, ()))

    def frame(self, entry: LogEntry) -> Frame:
        """The frame of an entry, the same object for everybody who needs it at about the same time."""
        frame = self._frames.get(entry.position)
        if frame is None:
            frame = self._frames[entry.position] = event_frame(entry)
            if len(self._frames) > _REMEMBERED:
                self._frames.popitem(last=False)
        return frame

    async def on_entry(self, entry: LogEntry) -> None:
        self._seen = entry.position
        if entry.event.topic in self._listeners:
            self._hand_out(entry)
            while len(self._backlog) > _BACKLOG and self._pump is not None:
                await asyncio.wait([self._pump], timeout=0.1)

    async def on_gap(self) -> None:
        """Catch up from the history; where that does not go back far enough, tell those who listen."""
        seen, now = self._seen, self._log.position
        self._seen = now
        topics = list(self._listeners)
        logger.warning("events were missed", extra={"after": str(seen), "until": str(now), "topics": len(topics)})
        missed: list[LogEntry] = []
        # A log in another epoch has lost what the former one held: asking it topic by topic would only take time.
        may_know = seen.epoch == now.epoch and len(topics) <= _MOST_TOPICS_CAUGHT_UP
        for topic in topics:
            complete = False
            if may_know:
                replay = await self._log.since(topic, seen)
                missed += [entry for entry in replay.entries if entry.position.offset <= now.offset]
                complete = replay.is_complete
            if not complete:
                self._tell_of_gap(topic, now)
        for entry in sorted(missed, key=lambda entry: entry.position.offset):
            await self.on_entry(entry)
        self._seen = now

    async def close(self) -> None:
        """Hand out nothing any more."""
        self._backlog.clear()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    def _tell_of_gap(self, topic: str, now: LogPosition) -> None:
        gap = notice("gap", self._clock.now(), {"recovered": False}, topic=topic, position=str(now))
        listeners = self._listeners.get(topic, {})  # they may have left while the log was asked
        for connection, after in tuple(listeners.items()):
            # One that came from another process may know more of the new epoch than this one does.
            if after.epoch != now.epoch or after.offset < now.offset:
                connection.outlet.push(gap)
                listeners[connection] = now

    def _hand_out(self, entry: LogEntry) -> None:
        self._backlog.append(entry)
        if self._pump is None:
            steps = self._steps()
            if next(steps, self) is not self:
                # The rest in a task of its own: whoever publishes may be cancelled meanwhile.
                self._pump = asyncio.create_task(self._go_on(steps), name="realtime: hand out")

    async def _go_on(self, steps: Iterator[None]) -> None:
        try:
            await asyncio.sleep(0)
            for _ in steps:
                await asyncio.sleep(0)
        finally:
            self._pump = None

    def _steps(self) -> Iterator[None]:
        """Hand out the backlog; yields where others may have a turn."""
        served = 0
        while self._backlog:
            entry = self._backlog.popleft()
            frame, epoch, offset = self.frame(entry), entry.position.epoch, entry.position.offset
            for connection, after in tuple(self._listeners.get(entry.event.topic, {}).items()):
                if offset > after.offset or epoch != after.epoch:
                    connection.outlet.push(frame)
                    served += 1
                    if served % _AT_ONCE == 0:
                        yield


def _nobody_cares(_topic: str, _connection: Connection) -> None:
    return
