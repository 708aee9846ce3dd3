"""What time it is, asked of an object so that tests can answer."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The service that tells the time: `services[Clock]` is always there."""

    def now(self) -> datetime:
        """The wall clock's time, aware, in UTC. It may jump: for what people read, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, which never go backwards: for durations and deadlines."""
        ...


class SystemClock(Clock):
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
