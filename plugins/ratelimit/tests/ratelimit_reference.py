"""The rules of `domain/policies.py`, written down once more: as slow and as plain as can be."""

from collections import defaultdict

from powerstrip_ratelimit.domain.decisions import CONCURRENT_RETRY, Decision, Verdict
from powerstrip_ratelimit.domain.policies import Algorithm


class ReferenceStore:
    """Remembers everything, and works every answer out from the start."""

    def __init__(self, now):
        self.now = now
        self.states = defaultdict(list)

    async def decide(self, counts):
        verdicts = await self.peek(counts)
        if any(not said.allowed and count.policy.is_enforced for said, count in zip(verdicts, counts, strict=True)):
            return Decision(False, verdicts)
        for count, verdict in zip(counts, verdicts, strict=True):
            if verdict.allowed:
                self._count(count)
        after = await self.peek([count._replace(cost=1) for count in counts])
        both = zip(verdicts, after, strict=True)
        return Decision(True, [new._replace(allowed=True) if old.allowed else old for old, new in both])

    async def peek(self, counts):
        look = {Algorithm.SLIDING: self._sliding, Algorithm.GCRA: self._gcra, Algorithm.CONCURRENT: self._concurrent}
        return [look[count.policy.algorithm](count) for count in counts]

    async def renew(self, counts):
        for count in counts:
            state = self._state(count)
            if any(lease == count.lease and end > self.now() for lease, end in state):
                await self.release([count])
                state.append((count.lease, self.now() + count.policy.period))

    async def release(self, counts):
        for count in counts:
            state = self._state(count)
            state[:] = [entry for entry in state if entry[0] != count.lease]

    async def reset(self, counts):
        verdicts = await self.peek(counts)
        for count in counts:
            self._state(count).clear()
        return sum(said != now for said, now in zip(verdicts, await self.peek(counts), strict=True))

    def _state(self, count):
        return self.states[count.policy.algorithm, count.policy.name, count.subject]

    def _count(self, count):
        state, policy, now = self._state(count), count.policy, self.now()
        if policy.algorithm is Algorithm.SLIDING:
            grain = 1 if policy.limit <= 128 else max(policy.period // 128, 1)
            live = self._live(count)
            if live and live[-1][0] // grain == now // grain:
                _, units = state.pop()
                state.append((now, units + count.cost))
            else:
                state.append((now, count.cost))
        elif policy.algorithm is Algorithm.GCRA:
            state[:] = [max(state[0] if state else now, now) + count.cost * self._interval(policy)]
        else:
            state.append((count.lease, now + policy.period))

    def _live(self, count):
        return [mark for mark in self._state(count) if mark[0] + count.policy.period > self.now()]

    def _sliding(self, count):
        policy, live = count.policy, self._live(count)
        used = sum(units for _, units in live)
        reset_after = live[-1][0] + policy.period - self.now() if live else 0
        free = policy.limit - used
        if count.cost <= free:
            return Verdict(True, free, 0, reset_after)
        for time, units in live:
            free += units
            if count.cost <= free:
                return Verdict(False, max(policy.limit - used, 0), time + policy.period - self.now(), reset_after)
        raise AssertionError("a cost above the limit")

    def _gcra(self, count):
        policy, state = count.policy, self._state(count)
        ahead = max((state[0] if state else 0) - self.now(), 0)
        room = policy.burst * self._interval(policy) - ahead
        missing = count.cost * self._interval(policy) - room
        return Verdict(missing <= 0, max(room, 0) // self._interval(policy), max(missing, 0), ahead)

    def _concurrent(self, count):
        held = sum(end > self.now() for _, end in self._state(count))
        free = count.policy.limit - held
        return Verdict(free > 0, max(free, 0), 0 if free > 0 else CONCURRENT_RETRY, 0)

    @staticmethod
    def _interval(policy):
        return (policy.period + policy.limit - 1) // policy.limit
