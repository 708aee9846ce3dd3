"""Events: what happened, told to whoever listens, and the log that keeps them in order."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, Self, runtime_checkable
from uuid import uuid4

_LONGEST_POSITION = 64


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `topic` says to whom it matters, `type` what it is (`user.created`),
    `data` holds JSON values. Two events with one `id` are the same event, told twice."""

    topic: str
    type: str
    data: Any = None
    id: str = field(default_factory=_new_id)
    time: datetime = field(default_factory=_now)


Subscriber = Callable[[Event], Awaitable[None]]

Origin = Literal["anywhere", "here"]
"""Where an event was published: in any process of the application, or in this one."""


@runtime_checkable
class EventBus(Protocol):
    """The service that carries events from publishers to subscribers, of this process and, with an `EventLog` that
    several share, of others."""

    async def publish(self, event: Event) -> None:
        """Hand the event over to every subscriber of its topic. A subscriber's failure is logged, never raised.

        Returns when those of this process have it and the log has taken it. Raises TypeError for data that is no JSON.
        """
        ...

    def subscribe(
        self, topic: str, subscriber: Subscriber, *, origin: Origin = "anywhere"
    ) -> AbstractContextManager[None]:
        """Call `subscriber` for each event of `topic` (`*` ends a prefix: `user.*`) until the context is left.

        Every process hears of every event, so what an event makes happen once should subscribe with origin `here`: the
        process that publishes it does the work.
        """
        ...

    def carry(self, log: "EventLog") -> AbstractContextManager[None]:
        """Append what is published to `log`, and hand over what other processes append, until the context is left."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """A place in an event log. Offsets grow within an epoch; a log that lost its memory begins another epoch.

    The epoch is empty where nobody knows the log yet, as its server is away: no history after that is complete.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `epoch:offset`. Raises ValueError for anything else."""
        epoch, colon, offset = text.rpartition(":")
        is_epoch = not epoch or epoch.isalnum()
        if not (colon and is_epoch and offset.isdecimal() and text.isascii() and len(text) <= _LONGEST_POSITION):
            raise ValueError("is no position: it looks like EPOCH:OFFSET")
        return cls(epoch, int(offset))


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An event in a log. `is_local` tells whether this process has appended it."""

    event: Event
    position: LogPosition
    is_local: bool = True


@dataclass(frozen=True, slots=True)
class Replay:
    """What a log has kept of a topic after some position: all of it if `is_complete`, else a part, or nothing."""

    entries: Sequence[LogEntry]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a topic is kept: at most `size` events, for `seconds` after its last one."""

    size: int
    seconds: float


class LogListener(Protocol):
    """Whoever follows a log."""

    async def on_entry(self, entry: LogEntry) -> None:
        """The next entry of the log. The log waits for this, so a listener that is busy slows it down."""
        ...

    async def on_gap(self) -> None:
        """Entries were lost that no call has told of. Where the log stands now is its `position`."""
        ...


@runtime_checkable
class EventLog(Protocol):
    """The service that gives events one order, in all processes that share it, and keeps some of them.

    Offsets count all entries, so one position tells how far a reader has got in every topic.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes append to it."""
        ...

    @property
    def position(self) -> LogPosition:
        """Of the newest entry that this process's listeners were told of."""
        ...

    async def append(self, event: Event) -> None:
        """Add an event; one whose id was added in the last minutes is not added again.

        A log that can't be reached takes it all the same and adds it later, or tells every listener of a gap.
        """
        ...

    async def since(self, topic: str, position: LogPosition) -> Replay:
        """What was kept of a topic after a position. Not complete where that can't be told."""
        ...

    def retain(self, wanted: Callable[[str], Retention | None]) -> AbstractContextManager[None]:
        """Keep events of the topics for which `wanted` gives a retention, until the context is left."""
        ...

    def follow(self, listener: LogListener) -> AbstractContextManager[None]:
        """Tell `listener` of every entry, this process's own included, until the context is left."""
        ...

    async def claim(self, key: str, seconds: float) -> bool:
        """Whether nobody, in any process, has claimed that key in the last `seconds`. Raises a Problem when that can't
        be told."""
        ...


@runtime_checkable
class EventOutbox(Protocol):
    """The service that publishes with a database transaction: if it is committed, after it is, and at least once."""

    def add(self, session: Any, event: Event) -> None:
        """Publish the event when the transaction of `session` (SQLAlchemy's) is committed, also if the process ends
        right after that. Subscribers may hear of it twice, under the same id."""
        ...
