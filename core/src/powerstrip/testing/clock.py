"""A clock that stands still until it is told to go on."""

from datetime import UTC, datetime, timedelta

from powerstrip.contract.clock import Clock

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock(Clock):
    """The time is what the test says: `advance(seconds)` moves both of its hands."""

    def __init__(self, start: datetime = _START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"{start!r} has no time zone: a clock tells aware times, datetime(..., tzinfo=UTC)")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` go by. Time does not run backwards: a negative number is a ValueError."""
        if seconds < 0:
            raise ValueError(f"the clock can't go back by {-seconds:g} s; `set_wall` moves the wall clock alone")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_wall(self, moment: datetime) -> None:
        """Move the wall clock alone, as when the machine's time is corrected: it may go back."""
        self._now = moment.astimezone(UTC)
