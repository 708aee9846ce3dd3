"""What counting in Redis costs, beside a bare round trip to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter

from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.measurement import Section, Table, Target, hold, interleave
from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.stores.redis import RedisStore, limits_script, packed_count
from powerstrip_redis import RedisConnections
from powerstrip_redis.settings import RedisSettings
from powerstrip_redis.testing import Valkey

ROUNDS = 41
IN_TURN = 100
AT_ONCE = 50
EACH = 20

METHOD = f"""Valkey on the same machine. In turn: {ROUNDS} interleaved rounds of {IN_TURN} calls, one after the other;
the bare round trip is `INCR` by redis-py as it comes. At once: {AT_ONCE} tasks with {EACH} decisions each, beside the
same script called by redis-py with a pool of {AT_ONCE} connections, one for each decision. No limit is ever reached,
so nothing is answered from memory."""

BARE = "INCR, redis-py"
ONE, THREE = "one policy", "three policies"
GCRA = "one policy, gcra"
ALONE, TOGETHER, TOGETHER_THREE = "a connection per decision", "one policy", "three policies"

Call = Callable[[], Awaitable[object]]


def run() -> Section:
    """Measure decisions in turn and at once."""
    return asyncio.run(_measure())


async def _measure() -> Section:
    server = Valkey()
    server.start()
    try:
        async with _store(server) as store, Redis(port=server.port) as bare, _pooled(server) as pooled:
            in_turn = await _in_turn(store, bare)
            at_once = await _at_once(store, pooled)
    finally:
        server.close()
    return Section(
        key="R",
        title="Rate limits in Redis",
        method=METHOD,
        tables=[in_turn, at_once],
        targets=_targets(in_turn, at_once),
    )


def _targets(in_turn: Table, at_once: Table) -> list[Target]:
    return [
        hold("A decision in Redis, beside a bare INCR", in_turn, ONE, BARE, ratio=1.15),
        hold("Three policies at once, beside a bare INCR", in_turn, THREE, BARE, ratio=1.3),
        hold(f"{AT_ONCE} at once, beside one connection per decision", at_once, TOGETHER, ALONE, ratio=1 / 1.5),
    ]


async def _in_turn(store: RedisStore, client: Redis) -> Table:
    calls: dict[str, Call] = {
        BARE: partial(client.incr, "bare"),
        ONE: partial(store.decide, _counts(1)),
        GCRA: partial(store.decide, _counts(1, Algorithm.GCRA)),
        THREE: partial(store.decide, _counts(3)),
    }
    series = await interleave(ROUNDS, {name: partial(_one_by_one, call) for name, call in calls.items()})
    return Table(title="In turn", unit="µs", series=series, bases=[BARE])


async def _at_once(store: RedisStore, client: Redis) -> Table:
    digest = await client.script_load(limits_script())
    policy = _counts(1)[0].policy
    argument = packed_count(policy, 1)
    calls: dict[str, Call] = {
        ALONE: partial(client.evalsha, digest, 1, "powerstrip:{limits}:sliding:alone:ann", argument),
        TOGETHER: partial(store.decide, _counts(1)),
        TOGETHER_THREE: partial(store.decide, _counts(3)),
    }
    series = await interleave(ROUNDS, {name: partial(_all_at_once, call) for name, call in calls.items()})
    return Table(title=f"{AT_ONCE} at once", unit="µs", series=series, bases=[ALONE])


async def _one_by_one(call: Call) -> float:
    before = perf_counter()
    for _ in range(IN_TURN):
        await call()
    return (perf_counter() - before) / IN_TURN * 1e6


async def _all_at_once(call: Call) -> float:
    async def some() -> None:
        for _ in range(EACH):
            await call()

    before = perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (perf_counter() - before) / (AT_ONCE * EACH) * 1e6


def _counts(number: int, algorithm: Algorithm = Algorithm.SLIDING) -> Sequence[Count]:
    """Of a minute, an hour and, smoothly, a day; far more than this asks for."""
    million = 1_000_000
    policies = [
        Policy(f"minute-{algorithm}-{number}", algorithm, million, 60 * SECOND, million),
        Policy(f"hour-{number}", Algorithm.SLIDING, million, 3600 * SECOND),
        Policy(f"day-{number}", Algorithm.GCRA, million, 86_400 * SECOND, million),
    ]
    return [Count(policy, "ann") for policy in policies[:number]]


@asynccontextmanager
async def _store(server: Valkey) -> AsyncIterator[RedisStore]:
    connections = RedisConnections(RedisSettings(url=server.url))
    store = RedisStore(connections, within=30)
    try:
        yield store
    finally:
        await store.close()
        await connections.close()


@asynccontextmanager
async def _pooled(server: Valkey) -> AsyncIterator[Redis]:
    client = Redis(connection_pool=BlockingConnectionPool(port=server.port, max_connections=AT_ONCE, timeout=None))
    try:
        yield client
    finally:
        await client.aclose()
        await client.connection_pool.aclose()
