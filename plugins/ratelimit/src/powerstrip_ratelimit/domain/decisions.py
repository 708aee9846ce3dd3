"""What is asked of a store for one request, and what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from powerstrip_ratelimit.domain.policies import SECOND, Policy

# How the hot path makes named tuples: by their own names it takes three times as long.
new = tuple.__new__

# Nobody knows when a lease ends: what a client that has too many is told to wait.
CONCURRENT_RETRY = SECOND


class Count(NamedTuple):
    """One policy of a request: `cost` units of what `subject` has left.

    A store's key is the policy's algorithm and name, and the subject: no part of it changes with the rate, so
    counters outlive a change of rate. `cost` is from 1 to the policy's limit (for `gcra` its burst). `lease` is an
    id of the request's own where the policy is `concurrent`.
    """

    policy: Policy
    subject: str
    cost: int = 1
    lease: str = ""


class Verdict(NamedTuple):
    """What one policy says; times in microseconds from now."""

    allowed: bool
    remaining: int
    """Units that are left, after counting where it was counted; for `gcra` of the burst."""
    retry_after: int
    """If refused, the time until the same would be allowed; if that took the last unit, until one is free; else 0."""
    reset_after: int
    """Time until nothing is counted any more if nobody asks; 0 for `concurrent`."""


class Decision(NamedTuple):
    """All of a request's policies, decided at one moment and together.

    `allowed` unless an enforced policy refuses. If allowed, it was counted for every policy that allows; else for
    none. The verdicts stand in the order of the counts.
    """

    allowed: bool
    verdicts: Sequence[Verdict]


class Store(Protocol):
    """Keeps counters. What it can't answer it raises as StoreUnavailableError, in bounded time."""

    async def decide(self, counts: Sequence[Count]) -> Decision:
        """Count a request for all of its policies or for none."""
        ...

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        """What `decide` would say of each, counting nothing; `remaining` is before counting."""
        ...

    async def renew(self, counts: Sequence[Count]) -> None:
        """Let leases that have not ended last for another period."""
        ...

    async def release(self, counts: Sequence[Count]) -> None:
        """End leases; those that have ended already are none of anybody's business."""
        ...

    async def reset(self, counts: Sequence[Count]) -> int:
        """Forget what was counted for these policies and subjects; gives how many had anything."""
        ...


class WatchedStore(Store, Protocol):
    """A store that knows how it is."""

    @property
    def is_available(self) -> bool:
        """Whether it answered when it was last asked."""
        ...

    def use(self, max_keys: int) -> None:
        """Keep counters of their own for so many subjects per policy, where they are kept in memory."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """How it is, for the health check."""
        ...
