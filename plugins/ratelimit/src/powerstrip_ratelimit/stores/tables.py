"""The counters of one policy in memory: bounded, and never forgotten while they limit anybody."""

from collections import deque
from collections.abc import MutableMapping
from typing import Generic, TypeVar

from powerstrip_ratelimit.domain.decisions import CONCURRENT_RETRY, Count, Verdict, new
from powerstrip_ratelimit.domain.policies import Policy

StateT = TypeVar("StateT")

_SHARDS = 1024
# How many keys are looked at for each new one: two keep the recovered from piling up, more find room when it is short.
_LOOKS = 2
_LOOKS_WHEN_FULL = 4


class Table(Generic[StateT]):
    """What was counted per subject.

    A new key looks at a few old ones, in turn, and removes those that have recovered: that is all the upkeep there
    is. While `max_keys` others have not recovered, newcomers share `_SHARDS` budgets, chosen by a hash that nobody
    outside can foresee. One that later gets a key of its own begins with what its shared budget has counted.
    """

    def __init__(self, max_keys: int) -> None:
        self.max_keys = max_keys
        self._keys: dict[str, StateT] = {}
        self._turn: deque[str] = deque()  # every key once
        self._shared: dict[str, StateT] = {}
        self.longest = 0
        """The longest period that was ever asked for: quotas and reloads change it."""

    def __len__(self) -> int:
        return len(self._keys) + len(self._shared)

    @property
    def is_full(self) -> bool:
        """Whether newcomers share budgets."""
        return len(self._keys) >= self.max_keys

    def decide(self, count: Count, now: int, *, counting: bool) -> Verdict:
        """Answer, and count if that is wanted and allowed."""
        raise NotImplementedError

    def reset(self, subject: str, now: int) -> bool:
        """Forget what was counted for a subject; whether there was anything. What newcomers share stays."""
        state = self._keys.get(subject)
        if state is None or self._has_recovered(state, now):
            return False
        self._keys[subject] = self._nothing()  # the key keeps its turn
        return True

    def _nothing(self) -> StateT:
        """A state that has recovered."""
        raise NotImplementedError

    def _has_recovered(self, state: StateT, now: int) -> bool:
        """Whether a new key would be treated alike."""
        raise NotImplementedError

    def _copied(self, state: StateT) -> StateT:
        return state

    def _slot(self, subject: str, now: int) -> tuple[MutableMapping[str, StateT], str, StateT | None]:
        """Where to look a subject up that has no key of its own, changing nothing."""
        state = self._keys.get(subject)
        if state is not None:
            return self._keys, subject, state
        shard = _shard(subject)
        shared = self._shared.get(shard)
        if self.is_full or (shared is not None and not self._has_recovered(shared, now)):
            return self._shared, shard, shared
        return self._keys, subject, None

    def _newcomer(self, subject: str, now: int) -> tuple[MutableMapping[str, StateT], str, StateT | None]:
        """Where to count a subject that has no key of its own: one that it gets, or a shared one."""
        self._make_room(now)
        shared = self._shared.get(_shard(subject)) if self._shared else None
        if self.is_full:
            return self._shared, _shard(subject), shared
        self._turn.append(subject)
        if shared is None or self._has_recovered(shared, now):
            self._keys[subject] = self._nothing()
            return self._keys, subject, None
        self._keys[subject] = own = self._copied(shared)
        return self._keys, subject, own

    def _make_room(self, now: int) -> None:
        turn, keys = self._turn, self._keys
        for _ in range(min(len(turn), _LOOKS_WHEN_FULL if self.is_full else _LOOKS)):
            subject = turn.popleft()
            if self._has_recovered(keys[subject], now):
                del keys[subject]
            else:
                turn.append(subject)


def _shard(subject: str) -> str:
    return str(hash(subject) % _SHARDS)


# The time of one mark with one unit, as most keys of a flood have it; or the units of all marks, then time and units
# of each. The former is nothing that the garbage collector has to look at.
Marks = int | list[int]
_LONG_AGO = -(1 << 62)


class SlidingTable(Table[Marks]):
    """Never more than the limit in any window."""

    def decide(self, count: Count, now: int, *, counting: bool) -> Verdict:
        policy, subject, cost, _ = count
        marks = self._keys.get(subject)
        keys: MutableMapping[str, Marks] = self._keys
        if marks is None:
            keys, subject, marks = self._newcomer(subject, now) if counting else self._slot(subject, now)
        if marks is None or isinstance(marks, int):
            is_new = marks is None or marks + policy.period <= now
            if is_new and cost == 1 and counting:
                keys[subject] = now
                return new(Verdict, (True, policy.limit - 1, 0 if policy.limit > 1 else policy.period, policy.period))
            marks = [0] if marks is None or is_new else [1, marks, 1]
            if counting:
                keys[subject] = marks
        elif len(marks) > 1 and marks[1] + policy.period <= now:
            _expire(marks, now - policy.period)
        return _decide_sliding(policy, marks, cost, now, counting=counting)

    def _nothing(self) -> Marks:
        return _LONG_AGO

    def _has_recovered(self, state: Marks, now: int) -> bool:
        last = state if isinstance(state, int) else state[-2] if len(state) > 1 else _LONG_AGO
        return last + self.longest <= now

    def _copied(self, state: Marks) -> Marks:
        return state if isinstance(state, int) else list(state)


def _expire(marks: list[int], edge: int) -> None:
    at, end = 1, len(marks)
    while at < end and marks[at] <= edge:
        marks[0] -= marks[at + 1]
        at += 2
    del marks[1:at]


def _decide_sliding(policy: Policy, marks: list[int], cost: int, now: int, *, counting: bool) -> Verdict:
    """Decide with the marks that have not expired; adds one if it counts."""
    limit = policy.limit
    used = marks[0]
    if used + cost > limit:
        retry = _sliding_retry(marks, used + cost - limit) + policy.period - now
        return new(Verdict, (False, max(limit - used, 0), retry, marks[-2] + policy.period - now))
    if not counting:
        return new(Verdict, (True, limit - used, 0, marks[-2] + policy.period - now if used else 0))
    marks[0] = used = used + cost
    grain = policy.grain
    if grain > 1 and len(marks) > 1 and marks[-2] // grain == now // grain:
        marks[-2] = now
        marks[-1] += cost
    else:
        marks.append(now)
        marks.append(cost)
    return new(Verdict, (True, limit - used, 0 if used < limit else marks[1] + policy.period - now, policy.period))


def _sliding_retry(marks: list[int], missing: int) -> int:
    """The time of the mark with whose end enough units are free."""
    at = 1
    while missing > marks[at + 1]:
        missing -= marks[at + 1]
        at += 2
    return marks[at]


class GcraTable(Table[int]):
    """Smooth: a state is a theoretical arrival time."""

    def decide(self, count: Count, now: int, *, counting: bool) -> Verdict:
        policy, subject, cost, _ = count
        tat = self._keys.get(subject)
        keys: MutableMapping[str, int] = self._keys
        if tat is None:
            keys, subject, tat = self._newcomer(subject, now) if counting else self._slot(subject, now)
        ahead = 0 if tat is None or tat < now else tat - now
        interval = policy.interval
        tolerance = policy.burst * interval
        after = ahead + cost * interval
        if after > tolerance:
            return new(Verdict, (False, max(tolerance - ahead, 0) // interval, after - tolerance, ahead))
        if counting:
            keys[subject] = now + after
            ahead = after
        left = (tolerance - ahead) // interval
        return new(Verdict, (True, left, 0 if left else ahead + interval - tolerance, ahead))

    def _nothing(self) -> int:
        return _LONG_AGO

    def _has_recovered(self, state: int, now: int) -> bool:
        return state <= now


# The ends of leases by their ids, the earliest first.
Leases = dict[str, int]


class LeaseTable(Table[Leases]):
    """How many at a time."""

    def decide(self, count: Count, now: int, *, counting: bool) -> Verdict:
        policy, subject, _, lease = count
        leases = self._keys.get(subject)
        keys: MutableMapping[str, Leases] = self._keys
        if leases is None:
            keys, subject, leases = self._newcomer(subject, now) if counting else self._slot(subject, now)
        held = 0 if leases is None else _still_held(leases, now)
        if held >= policy.limit:
            return new(Verdict, (False, 0, CONCURRENT_RETRY, 0))
        if not counting:
            return new(Verdict, (True, policy.limit - held, 0, 0))
        if leases is None:
            keys[subject] = leases = {}
        leases[lease] = now + policy.period
        left = policy.limit - held - 1
        return new(Verdict, (True, left, 0 if left else CONCURRENT_RETRY, 0))

    def renew(self, count: Count, now: int) -> None:
        """Let a lease that has not ended last for another period."""
        for leases in self._holding(count):
            if leases.pop(count.lease) > now:
                leases[count.lease] = now + count.policy.period

    def release(self, count: Count) -> None:
        """End a lease."""
        for leases in self._holding(count):
            del leases[count.lease]

    def _holding(self, count: Count) -> list[Leases]:
        # A newcomer that got a key of its own took along what its shared budget held.
        both = (self._keys.get(count.subject), self._shared.get(_shard(count.subject)))
        return [leases for leases in both if leases is not None and count.lease in leases]

    def _nothing(self) -> Leases:
        return {}

    def _has_recovered(self, state: Leases, now: int) -> bool:
        return not _still_held(state, now)

    def _copied(self, state: Leases) -> Leases:
        return dict(state)


def _still_held(leases: Leases, now: int) -> int:
    while leases:
        oldest = next(iter(leases))
        if leases[oldest] > now:
            break
        del leases[oldest]
    return len(leases)
