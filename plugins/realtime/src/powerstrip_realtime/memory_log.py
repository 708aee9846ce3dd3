"""The event log of one process: positions and history in memory, bounded in events, topics and bytes."""

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from powerstrip import Clock, Event, EventLog, LogEntry, LogListener, LogPosition, Replay, Retention
from powerstrip_realtime.settings import HistorySettings

_SAME_EVENT_SECONDS = 600.0
_MOST_REMEMBERED = 20_000
# What an entry takes beside its data: the objects around it, measured with tracemalloc.
_OVERHEAD = 800

Wanted = Callable[[str], Retention | None]


@dataclass(slots=True)
class _Kept:
    entry: LogEntry
    previous: int
    size: int


@dataclass(slots=True)
class _Topic:
    last: int = 0
    last_at: float = 0.0
    kept: deque[_Kept] = field(default_factory=deque)


class MemoryEventLog(EventLog):
    """Ends with its process: the next one begins a new epoch, so no client takes what it missed for nothing."""

    def __init__(self, settings: HistorySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._epoch = uuid4().hex[:12]
        self._offset = 0
        self._told = 0
        self._floor = 0  # of topics that are not known, everything up to here may be lost
        self._memory = 0
        self._topics: OrderedDict[str, _Topic] = OrderedDict()  # the quietest first
        self._wanted: list[Wanted] = []
        self._listeners: list[LogListener] = []
        self._claims: OrderedDict[str, float] = OrderedDict()
        self._turn = asyncio.Lock()

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def position(self) -> LogPosition:
        return LogPosition(self._epoch, self._told)

    @property
    def memory(self) -> int:
        """Bytes of events that are kept, roughly."""
        return self._memory

    async def append(self, event: Event) -> None:
        size = len(json.dumps(event.data)) + _OVERHEAD
        async with self._turn:  # listeners are told of one entry after the other
            if not self._is_new(f"event:{event.id}", _SAME_EVENT_SECONDS):
                return
            self._offset += 1
            entry = LogEntry(event, LogPosition(self._epoch, self._offset))
            self._keep(entry, size)
            self._told = self._offset
            for listener in list(self._listeners):
                await listener.on_entry(entry)

    async def since(self, topic: str, position: LogPosition) -> Replay:
        if position.epoch != self._epoch or position.offset > self._offset:
            return Replay((), is_complete=False)
        known = self._topics.get(topic)
        if known is None:
            return Replay((), is_complete=position.offset >= self._floor)
        self._forget_old(known)
        entries = [kept.entry for kept in known.kept if kept.entry.position.offset > position.offset]
        lost_until = known.kept[0].previous if known.kept else known.last
        return Replay(entries, is_complete=position.offset >= lost_until)

    @contextmanager
    def retain(self, wanted: Wanted) -> Iterator[None]:
        self._wanted.append(wanted)
        try:
            yield
        finally:
            self._wanted.remove(wanted)

    @contextmanager
    def follow(self, listener: LogListener) -> Iterator[None]:
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def claim(self, key: str, seconds: float) -> bool:
        return self._is_new(key, seconds)

    def _is_new(self, key: str, seconds: float) -> bool:
        now = self._clock.monotonic()
        if self._claims.get(key, now) > now:
            return False
        self._claims[key] = now + seconds
        self._claims.move_to_end(key)
        while len(self._claims) > _MOST_REMEMBERED or next(iter(self._claims.values())) <= now:
            self._claims.popitem(last=False)
        return True

    def _keep(self, entry: LogEntry, size: int) -> None:
        name = entry.event.topic
        retention = next(filter(None, (wanted(name) for wanted in self._wanted)), None)
        if retention is None:
            return
        topic = self._topics.setdefault(name, _Topic(last=self._floor))
        self._forget_old(topic)
        topic.kept.append(_Kept(entry, topic.last, size))
        self._memory += size
        topic.last, topic.last_at = entry.position.offset, self._clock.monotonic()
        self._topics.move_to_end(name)
        while len(topic.kept) > retention.size:
            self._drop_oldest(topic)
        while self._memory > self._settings.memory or len(self._topics) > self._settings.topics:
            self._forget_quietest()

    def _forget_old(self, topic: _Topic) -> None:
        if topic.last_at + self._settings.seconds < self._clock.monotonic():
            while topic.kept:
                self._drop_oldest(topic)

    def _forget_quietest(self) -> None:
        name, topic = next(iter(self._topics.items()))
        if len(self._topics) == 1 and topic.kept:
            self._drop_oldest(topic)  # one busy topic is never forgotten as a whole
            return
        del self._topics[name]
        while topic.kept:
            self._drop_oldest(topic)
        self._floor = max(self._floor, topic.last)

    def _drop_oldest(self, topic: _Topic) -> None:
        self._memory -= topic.kept.popleft().size
