"""Counters in Redis or Valkey, shared by all workers and machines.

One script decides all policies of a request, by the server's clock. In a cluster all keys have one hash tag, since a
script sees the keys of one node only: all counters of an application live together.
"""

from collections.abc import Sequence
from importlib.resources import files
from struct import iter_unpack, pack
from typing import NamedTuple

from powerstrip_ratelimit.domain.decisions import Count, Decision, Store, Verdict, new
from powerstrip_ratelimit.domain.policies import Algorithm, Policy
from powerstrip_ratelimit.stores.scripts import ScriptRunner, word
from powerstrip_redis import RedisConnections

# How many policies are kept ready to be sent. Quotas by hook can make any number of them.
_READY = 1000
# Kind, whether it is enforced, limit, period, step, cost: what the script unpacks.
_COUNT = "<BBdddd"
# The same of what it says of each count: 1 if it fits and 2 more if the request is allowed, then times and units.
_VERDICT = "<qqqq"
_KINDS = (Algorithm.SLIDING, Algorithm.GCRA, Algorithm.CONCURRENT)


def limits_script() -> str:
    """The script that decides."""
    return files("powerstrip_ratelimit.stores").joinpath("limits.lua").read_text(encoding="utf-8")


class RedisStore(Store):
    """Each question is one round trip, shared with all that are asked while others are answered."""

    def __init__(self, connections: RedisConnections, *, within: float, script: str | None = None) -> None:
        """`within` is how many seconds the server may take to answer."""
        self._connections = connections
        self._runner = ScriptRunner(connections, script or limits_script(), within)
        self._ready: dict[str, _Ready] = {}

    @property
    def is_reachable(self) -> bool:
        """Whether asking makes sense, as far as anybody knows."""
        return self._connections.is_available

    async def decide(self, counts: Sequence[Count]) -> Decision:
        if not counts:
            return Decision(True, ())
        answer = await self._runner.run(self._command(b"", counts))
        return new(Decision, (answer[0] > 1, _verdicts(answer)))

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        return _verdicts(await self._runner.run(self._command(b"peek", counts))) if counts else ()

    async def renew(self, counts: Sequence[Count]) -> None:
        if counts:
            await self._runner.run(self._command(b"renew", counts))

    async def release(self, counts: Sequence[Count]) -> None:
        if counts:
            await self._runner.run(self._command(b"release", counts))

    async def reset(self, counts: Sequence[Count]) -> int:
        return int.from_bytes(await self._runner.run(self._command(b"reset", counts)), "little") if counts else 0

    async def close(self) -> None:
        """Give up what is under way."""
        await self._runner.close()

    def _command(self, verb: bytes, counts: Sequence[Count]) -> bytes:
        keys, arguments = [], []
        for policy, subject, cost, lease in counts:
            ready = self._ready.get(policy.name)
            if ready is None or ready.policy is not policy:
                ready = self._make_ready(policy)
            name = subject.encode()
            is_plain = cost == 1 and not lease
            if is_plain and not verb and len(counts) == 1:
                return ready.alone % (ready.length + len(name), name)
            keys.append(word(ready.prefix + name))
            arguments.append(ready.one if is_plain else word(packed_count(policy, cost) + lease.encode()))
        if verb:
            arguments.append(word(verb))
        return b"".join([self._runner.head(len(keys), len(arguments)), *keys, *arguments])

    def _make_ready(self, policy: Policy) -> "_Ready":
        if len(self._ready) >= _READY:
            self._ready.clear()
        prefix = self._connections.key("{limits}", policy.algorithm, policy.name, "").encode()
        one = word(packed_count(policy, 1))
        head, key, rest = (part.replace(b"%", b"%%") for part in (self._runner.head(1, 1), prefix, one))
        alone = head + b"$%d\r\n" + key + b"%b\r\n" + rest
        self._ready[policy.name] = ready = _Ready(policy, prefix, len(prefix), one, alone)
        return ready


class _Ready(NamedTuple):
    """A policy, ready to be sent."""

    policy: Policy
    prefix: bytes
    """What its keys begin with."""
    length: int
    """Of the prefix."""
    one: bytes
    """What the script has to know to count one unit, as a word of a command."""
    alone: bytes
    """The whole command that counts one unit of this policy alone, without the length of its key and the subject."""


def packed_count(policy: Policy, cost: int) -> bytes:
    """What the script has to know of a policy, to count so many units; a lease follows it."""
    is_gcra = policy.algorithm is Algorithm.GCRA
    limit, step = (policy.burst, policy.interval) if is_gcra else (policy.limit, policy.grain)
    return pack(_COUNT, _KINDS.index(policy.algorithm) + 1, policy.is_enforced, limit, policy.period, step, cost)


def _verdicts(answer: bytes) -> list[Verdict]:
    each = iter_unpack(_VERDICT, answer)
    return [new(Verdict, (said % 2 == 1, left, retry, reset)) for said, left, retry, reset in each]
