"""Counters in Redis or Valkey, shared by all workers and machines.

One script decides all policies of a request, by the server's clock. In a cluster all keys have one hash tag, since a
script sees the keys of one node only: all counters of an application live together.
"""

from collections.abc import Sequence
from importlib.resources import files
from struct import unpack
from typing import NamedTuple

from powerstrip_ratelimit.domain.decisions import Count, Decision, Store, Verdict
from powerstrip_ratelimit.domain.policies import Algorithm, Policy
from powerstrip_ratelimit.stores.scripts import Call, ScriptRunner, Words, words_of
from powerstrip_redis import RedisConnections

# How many policies are kept ready to be sent. Quotas by hook can make any number of them.
_READY = 1000


def limits_script() -> str:
    """The script that decides."""
    return files("powerstrip_ratelimit.stores").joinpath("limits.lua").read_text(encoding="utf-8")


class RedisStore(Store):
    """Each question is one round trip, shared with all that are asked while others are answered."""

    def __init__(self, connections: RedisConnections, *, within: float, script: str | None = None) -> None:
        """`within` is how many seconds the server may take to answer."""
        self._connections = connections
        self._key = connections.key
        self._runner = ScriptRunner(connections, script or limits_script(), within)
        self._verbs = {verb: words_of(verb.encode()) for verb in ("decide", "peek", "renew", "release", "reset")}
        self._one = words_of(b"1", b"")  # unit, without a lease
        self._ready: dict[str, _Ready] = {}

    @property
    def is_reachable(self) -> bool:
        """Whether asking makes sense, as far as anybody knows."""
        return self._connections.is_available

    async def decide(self, counts: Sequence[Count]) -> Decision:
        answer = await self._ask("decide", counts)
        return Decision(answer[0] == 1, _verdicts(answer))

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        return _verdicts(await self._ask("peek", counts))

    async def renew(self, counts: Sequence[Count]) -> None:
        await self._ask("renew", counts)

    async def release(self, counts: Sequence[Count]) -> None:
        await self._ask("release", counts)

    async def reset(self, counts: Sequence[Count]) -> int:
        return (await self._ask("reset", counts))[0] if counts else 0

    async def close(self) -> None:
        """Give up what is under way."""
        await self._runner.close()

    async def _ask(self, verb: str, counts: Sequence[Count]) -> tuple[int, ...]:
        if not counts:
            return (1,)
        keys: list[Words] = []
        arguments = [self._verbs[verb]]
        for policy, subject, cost, lease in counts:
            ready = self._ready.get(policy.name)
            if ready is None or ready.policy is not policy:
                ready = self._make_ready(policy)
            keys.append(words_of((ready.prefix + subject).encode()))
            arguments.append(ready.described)
            arguments.append(self._one if cost == 1 and not lease else words_of(b"%d" % cost, lease.encode()))
        answer = await self._runner.run(Call(keys, arguments))
        return unpack(f"<{len(answer) // 8}q", answer)

    def _make_ready(self, policy: Policy) -> "_Ready":
        is_gcra = policy.algorithm is Algorithm.GCRA
        limit, step = (policy.burst, policy.interval) if is_gcra else (policy.limit, policy.grain)
        numbers = (limit, policy.period, step, int(policy.is_enforced))
        described = words_of(policy.algorithm.encode(), *(b"%d" % number for number in numbers))
        if len(self._ready) >= _READY:
            self._ready.clear()
        ready = _Ready(policy, self._key("{limits}", policy.algorithm, policy.name, ""), described)
        self._ready[policy.name] = ready
        return ready


class _Ready(NamedTuple):
    """A policy, ready to be sent."""

    policy: Policy
    prefix: str
    """What its keys begin with."""
    described: Words
    """What the script has to know of it."""


def _verdicts(answer: Sequence[int]) -> list[Verdict]:
    return [Verdict(answer[at] == 1, answer[at + 1], answer[at + 2], answer[at + 3]) for at in range(1, len(answer), 4)]
