"""Counters in this process's memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from powerstrip_ratelimit.domain.decisions import Count, Decision, Verdict, WatchedStore, new
from powerstrip_ratelimit.domain.policies import Algorithm, Policy
from powerstrip_ratelimit.stores.tables import GcraTable, LeaseTable, SlidingTable, Table

_TABLES: Mapping[Algorithm, type[Table[Any]]] = {
    Algorithm.SLIDING: SlidingTable,
    Algorithm.GCRA: GcraTable,
    Algorithm.CONCURRENT: LeaseTable,
}


# So many policies have tables of their own.
_MOST_TABLES = 4096


class MemoryStore(WatchedStore):
    """Decides at once: nothing is awaited, so nothing comes between a look and a count.

    For each policy at most `max_keys` subjects have counters of their own, and a fixed number of shared ones comes
    on top. A counter takes some 200 bytes, and some 70 more for each of at most 129 marks while a client keeps it busy.
    """

    def __init__(self, now: Callable[[], int], max_keys: int) -> None:
        """`now` tells microseconds since some moment, which never go backwards."""
        self._now = now
        self._max_keys = max_keys
        self._tables: dict[str, Table[Any]] = {}

    async def decide(self, counts: Sequence[Count]) -> Decision:
        now = self._now()
        if len(counts) == 1:
            count = counts[0]
            policy = count[0]
            table = self._tables.get(policy.key)
            if table is None or policy.period > table.longest:
                table, count = self._placed(count)
            verdict = table.decide(count, now, counting=True)
            return new(Decision, (verdict[0] or not policy.is_enforced, (verdict,)))
        placed = [self._placed(count) for count in counts]
        verdicts = [table.decide(count, now, counting=False) for table, count in placed]
        if any(not said.allowed and count.policy.is_enforced for said, count in zip(verdicts, counts, strict=True)):
            return Decision(False, verdicts)
        # Asked again with counting, each says the same, except that its numbers are those after.
        return Decision(True, [table.decide(count, now, counting=True) for table, count in placed])

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        now = self._now()
        return [table.decide(count, now, counting=False) for table, count in map(self._placed, counts)]

    async def renew(self, counts: Sequence[Count]) -> None:
        now = self._now()
        for table, count in map(self._placed, counts):
            if isinstance(table, LeaseTable):
                table.renew(count, now)

    async def release(self, counts: Sequence[Count]) -> None:
        for table, count in map(self._placed, counts):
            if isinstance(table, LeaseTable):
                table.release(count)

    async def reset(self, counts: Sequence[Count]) -> int:
        now = self._now()
        return sum(table.reset(count.subject, now) for table, count in map(self._placed, counts))

    @property
    def keys(self) -> int:
        """How many counters there are."""
        return sum(map(len, self._tables.values()))

    @property
    def is_available(self) -> bool:
        return True

    def use(self, max_keys: int) -> None:
        self._max_keys = max_keys
        for table in self._tables.values():
            table.max_keys = max_keys

    def facts(self) -> Mapping[str, Any]:
        """How it is, for the health check; with `shared` newcomers share counters in some policy."""
        return {
            "store": "memory",
            "counters": self.keys,
            "shared": any(table.is_full for table in self._tables.values()),
        }

    def _placed(self, count: Count) -> tuple[Table[Any], Count]:
        """The table of a policy, and the count as it stands there."""
        policy = count.policy
        table = self._tables.get(policy.key)
        if table is None:
            if len(self._tables) >= _MOST_TABLES:
                # One for all further policies: somebody makes them up, maybe out of what clients send.
                crowd = Policy("", policy.algorithm, policy.limit, policy.period)
                count = count._replace(subject=f"{policy.key}:{count.subject}")
                table = self._tables.get(crowd.key) or self._new_table(crowd)
            else:
                table = self._new_table(policy)
        table.longest = max(table.longest, policy.period)
        return table, count

    def _new_table(self, policy: Policy) -> Table[Any]:
        table = self._tables[policy.key] = _TABLES[policy.algorithm](self._max_keys)
        return table
