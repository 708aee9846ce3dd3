"""Clients that ask at the worst times they can think of: how much do they get in any window?

The server's clock judges. Each decision goes to the server between two questions for its time, so when it was made is
known to within some microseconds; a window counts as too full only if it is so whatever happened in these.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from time import time
from typing import Any, NamedTuple

from powerstrip_ratelimit.domain.decisions import Count, Decision
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.stores.redis import RedisStore
from powerstrip_redis import RedisConnections
from powerstrip_redis.settings import RedisSettings
from powerstrip_redis.testing import Valkey

TIME = b"*1\r\n$4\r\nTIME\r\n"
AT_ONCE = 4


class Admitted(NamedTuple):
    """Units that were let through between two moments of the server's clock, in microseconds."""

    earliest: int
    latest: int
    units: int


@dataclass
class Client:
    """Asks for one subject of one policy, and keeps when it was let through."""

    store: RedisStore
    times: "TimedConnections"
    policy: Policy
    subject: str
    admitted: list[Admitted] = field(default_factory=list)
    asked: int = 0

    async def ask(self, units: int = 1) -> Decision:
        decision = await self.store.decide([Count(self.policy, self.subject, units)])
        self.asked += 1
        if decision.allowed:
            self.admitted.append(Admitted(*self.times.last, units))
        return decision

    async def burst(self) -> Decision:
        """Ask until refused; gives the refusal."""
        while (decision := await self.ask()).allowed:
            pass
        return decision


class TimedConnections:
    """Connections that let the server tell the time before and after each command. One command at a time."""

    def __init__(self, connections: RedisConnections) -> None:
        self._connections = connections
        self.key = connections.key
        self.is_cluster = False
        self.is_available = True
        self.last = (0, 0)

    async def exchange(self, commands: Sequence[bytes], within: float) -> list[Any]:
        [command] = commands
        before, answer, after = await self._connections.exchange([TIME, command, TIME], within)
        self.last = (_microseconds(before), _microseconds(after))
        return [answer]


Strategy = Callable[[Client], Awaitable[object]]


async def as_fast_as_it_goes(client: Client) -> None:
    await client.ask()


async def around_whole_seconds(client: Client) -> None:
    """Where a limiter with fixed windows forgets, and one with two buckets counts least."""
    period = client.policy.period / SECOND
    await _until((time() // period + 1) * period - 0.02)
    for _ in range(4):
        await client.burst()
        await _until(time() + 0.01)


async def after_a_rest(client: Client) -> None:
    """All that has gathered, then all that comes."""
    await _until(time() + client.policy.period / SECOND * random.uniform(0.9, 1.1))
    for _ in range(5):
        refusal = await client.burst()
        await _until(time() + refusal.verdicts[0].retry_after / SECOND)


async def as_soon_as_told(client: Client) -> None:
    """Exactly when a refusal says, and a moment before."""
    refusal = await client.burst()
    moment = time() + refusal.verdicts[0].retry_after / SECOND
    await _until(moment - 0.0005)
    await client.ask()
    await _until(moment)


async def at_edges_of_grains(client: Client) -> None:
    """A few units just before and just after marks stop becoming one."""
    grain = client.policy.grain / SECOND if client.policy.grain > 1 else 0.01
    await _until((time() // grain + 1) * grain - 0.0003)
    for _ in range(4):
        await client.ask()


async def at_any_time(client: Client) -> None:
    await client.ask(random.choice([1, 1, 1, 2, 5, 20]))
    await _until(time() + random.choice([0, 0, 0.0001, 0.001, 0.01, 0.1]) * random.random())


STRATEGIES: Mapping[str, Strategy] = {
    function.__name__.replace("_", " "): function
    for function in (
        as_fast_as_it_goes,
        around_whole_seconds,
        after_a_rest,
        as_soon_as_told,
        at_edges_of_grains,
        at_any_time,
    )
}


def check(seconds: float, period: float) -> list[str]:
    """Follow every strategy for so many seconds, against policies of so short a period; returns what was broken."""
    return asyncio.run(_check(seconds, int(period * SECOND)))


async def _check(seconds: float, period: int) -> list[str]:
    server = Valkey()
    server.start()
    broken: list[str] = []
    try:
        for name, strategy in STRATEGIES.items():
            crowds = (_crowd(server, policy, strategy, seconds) for policy in _policies(period))
            for clients in await asyncio.gather(*crowds):
                broken += _judged(name, clients)
    finally:
        server.close()
    return broken


def _policies(period: int) -> Sequence[Policy]:
    return (
        Policy("few", Algorithm.SLIDING, 40, period),
        Policy("many, in grains", Algorithm.SLIDING, 300, period),  # above a limit of 128 marks become one
        Policy("smooth", Algorithm.GCRA, 100, period, 20),
    )


async def _crowd(server: Valkey, policy: Policy, strategy: Strategy, seconds: float) -> list[Client]:
    """Several at once on one counter, each with a connection of its own."""
    over = time() + seconds

    async def follow() -> Client:
        async with _client(server, policy, strategy.__name__) as client:
            await strategy(client)
            while time() < over:
                await strategy(client)
            return client

    return await asyncio.gather(*(follow() for _ in range(AT_ONCE)))


@asynccontextmanager
async def _client(server: Valkey, policy: Policy, subject: str) -> AsyncIterator[Client]:
    connections = RedisConnections(RedisSettings(url=server.url, pool_size=1))
    times = TimedConnections(connections)
    store = RedisStore(times, within=60)
    try:
        yield Client(store, times, policy, subject)
    finally:
        await store.close()
        await connections.close()


async def _until(moment: float) -> None:
    """The event loop wakes up to a millisecond late: the last are spent asking what time it is."""
    await asyncio.sleep(moment - time() - 0.002)
    while time() < moment:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0)


def _judged(name: str, clients: Sequence[Client]) -> list[str]:
    policy = clients[0].policy
    admitted = sorted(found for client in clients for found in client.admitted)
    if policy.algorithm is Algorithm.SLIDING:
        worst, allowed = most_in_a_window(admitted, policy.period), policy.limit
        told = f"at most {worst} of {allowed} in any window"
    else:
        worst, allowed = most_beyond_the_rate(admitted, policy.interval), policy.burst
        told = f"at most {worst:.1f} of a burst of {allowed} beyond the rate in any window"
    unknown = max((found.latest - found.earliest for found in admitted), default=0)
    asked = sum(client.asked for client in clients)
    print(f"{name}, {policy.name}: {len(admitted)} of {asked} admitted, {told} (times known to {unknown} µs)")
    return [f"{name}, {policy.name}: {told}"] if worst > allowed or not admitted else []


def most_in_a_window(admitted: Sequence[Admitted], period: int) -> int:
    """The most units that certainly were let through in less than a period."""
    worst = units = end = 0
    for first in admitted:
        while end < len(admitted) and admitted[end].latest - first.earliest < period:
            units += admitted[end].units
            end += 1
        worst = max(worst, units)
        units -= first.units
    return worst


def most_beyond_the_rate(admitted: Sequence[Admitted], interval: int) -> float:
    """The most units that were let through in any time, beyond one for each interval in it, however long it was."""
    worst, units = 0.0, 0
    least = inf  # of the units before a window, and what the rate gives until it begins
    for found in admitted:
        least = min(least, units - found.earliest / interval)
        units += found.units
        worst = max(worst, units - found.latest / interval - least)
    return worst


def _microseconds(answer: Sequence[bytes]) -> int:
    seconds, microseconds = answer
    return int(seconds) * SECOND + int(microseconds)
