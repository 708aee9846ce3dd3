"""What a store needs to know of a limit, and how each algorithm counts.

All times are whole microseconds of the store's own clock; every store counts by the same rules (`tests/golden/` holds
what they must answer), all of them with whole numbers.

sliding
    The state of a key is a list of marks, oldest first: a time and the units taken at it. A mark has expired when
    `time + period <= now`. Allowed while the units of the others and the cost together stay within the limit. Counting
    adds a mark `(now, cost)`; if the last mark lies in the same grain (`time // grain == now // grain`), that one is
    moved to `now` and takes the units as well: so units expire too late by a grain at most, and never too early. Up to
    a limit of 128 the grain is one microsecond, which is exact; above, it is a 128th of the period, which bounds the
    marks of a key.
gcra
    The state of a key is its theoretical arrival time, `tat`. Each unit costs an `interval`, the period divided by the
    limit, rounded up. Allowed while `max(tat, now) + cost * interval - now <= burst * interval`; counting makes that
    sum the new `tat`. In any window: at most `burst` and what the rate gives in its time.
concurrent
    The state of a key is a set of leases: an id and the time at which it ends unless it is renewed, `now + period`.
    Allowed while fewer than `limit` have not ended. What a lease costs is always 1.

Where a clock can be set back, what lies ahead of it counts as done now: so nobody gets more, and waits for a period at
most.
"""

from dataclasses import dataclass, field
from enum import StrEnum

SECOND = 1_000_000
_GRAINS = 128


class Algorithm(StrEnum):
    """How a policy counts."""

    SLIDING = "sliding"
    GCRA = "gcra"
    CONCURRENT = "concurrent"


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit, as stores see it."""

    name: str
    algorithm: Algorithm
    limit: int
    """Units per period; for `concurrent` leases at a time."""
    period: int
    """Microseconds; for `concurrent` the time after which a lease ends that nobody renews."""
    burst: int = 0
    """`gcra` alone: units that may come at once."""
    is_enforced: bool = True
    """Whether a refusal refuses the request; one that is only observed counts and tells."""
    grain: int = field(init=False)
    """`sliding` alone: microseconds within which marks become one."""
    interval: int = field(init=False)
    """`gcra` alone: microseconds that a unit costs."""
    key: str = field(init=False)
    """What counters are named after: nothing of it changes with the rate."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grain", max(self.period // _GRAINS, 1) if self.limit > _GRAINS else 1)
        object.__setattr__(self, "key", f"{self.algorithm}:{self.name}")
        object.__setattr__(self, "interval", -(-self.period // self.limit))
