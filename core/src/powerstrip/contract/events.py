"""Events: what happened, told to whoever listens."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `topic` says to whom it matters, `type` what it is (`user.created`),
    `data` holds JSON values."""

    topic: str
    type: str
    data: Any = None
    id: str = field(default_factory=_new_id)
    time: datetime = field(default_factory=_now)


Subscriber = Callable[[Event], Awaitable[None]]


@runtime_checkable
class EventBus(Protocol):
    """The service that carries events from publishers to subscribers."""

    async def publish(self, event: Event) -> None:
        """Hand the event over to every subscriber of its topic. A subscriber's failure is logged, never raised."""
        ...

    def subscribe(self, topic: str, subscriber: Subscriber) -> AbstractContextManager[None]:
        """Call `subscriber` for each event of `topic` (`*` ends a prefix: `user.*`) until the context is left."""
        ...
