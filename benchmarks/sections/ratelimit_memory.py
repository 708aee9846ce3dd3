"""What a limit costs a request in this process, beside the limiters of FastAPI and Litestar, and how it grows."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from itertools import cycle
from operator import sub
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic_ns, thread_time
from typing import Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from benchmarks.asgi_client import request_scope, running
from benchmarks.measurement import Section, Series, Table, hold, interleave
from benchmarks.peers.limited import MANY, direct_fastapi, limited_litestar, plain_litestar, slowapi_fastapi
from benchmarks.peers.powerstrip_configs import SHOP, install_shop, new_supervisor, powerstrip_app, raise_it
from benchmarks.peers.shop import PREFIX
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.supervisor import Supervisor
from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.service import Limiter
from powerstrip_ratelimit.stores.memory import MemoryStore

ROUNDS = 41
REQUESTS = 200
DECISIONS = 300
CROWD = 1_000_000
SOME = 10_000
PATH = f"{PREFIX}/featured"
RATE = 60  # per hour, of each of a crowd: its marks are those of an ordinary limit

METHOD = f"""Processor time of this thread, {ROUNDS} interleaved rounds of {REQUESTS} requests, in this process. What a
limiter adds is the difference between the same application with and without it, round by round. No limit is reached,
all send their headers, and the event loop turns after each request, since some limiters leave work to it. A crowd are
clients that have been here within the hour; each request is one of them, at random. Decisions are those of the store
alone, {DECISIONS} a round, with a turn of the loop after each. Of the strategies of limits only the moving window keeps
the promise that ours does; the fixed window admits twice the limit, the counter was seen at 1.27 times."""

OURS, SLOWAPI, LITESTAR = "Powerstrip's ratelimit", "slowapi", "Litestar's limiter"
ONE, TEN_THOUSAND, MILLION = "one client", f"{SOME:,} clients", f"{CROWD:,} clients"
Decide = Callable[[str], Awaitable[object]]
SLIDING, GCRA = "Powerstrip, sliding", "Powerstrip, gcra"
NOTHING = "nothing"
MOVING = "limits, moving window"
STRATEGIES: Mapping[str, type[RateLimiter]] = {
    MOVING: MovingWindowRateLimiter,
    "limits, fixed window": FixedWindowRateLimiter,
    "limits, sliding window counter": SlidingWindowCounterRateLimiter,
}


def run() -> Section:
    """Measure what limits add, with few clients and with many, and decisions alone."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    install_shop(folder)
    async with AsyncExitStack() as stack:

        async def started(app: Any) -> Any:
            return await stack.enter_async_context(running(app))

        peers = await _beside_peers(folder, started)
        crowds = await _crowds(folder, started)
    gc.unfreeze()
    few, many = await _decisions(1), await _decisions(SOME)
    return Section(
        key="L",
        title="What a limit costs, and how that grows with the clients",
        method=METHOD,
        tables=[peers, crowds, few, many],
        targets=[
            hold("a limit adds at most a quarter of what slowapi's adds", peers, OURS, SLOWAPI, ratio=0.25),
            hold("a limit adds at most a quarter of what Litestar's adds", peers, OURS, LITESTAR, ratio=0.25),
            hold("a million clients cost at most 1.3 times one", crowds, MILLION, ONE, ratio=1.3),
            *(
                hold(f"a decision takes at most a fifth of {name}, {clients}", table, SLIDING, name, ratio=0.2)
                for clients, table, names in ((ONE, few, [MOVING]), (TEN_THOUSAND, many, STRATEGIES))
                for name in names
            ),
        ],
    )


async def _beside_peers(folder: Path, started: Callable[[Any], Awaitable[Any]]) -> Table:
    apps = {
        OURS: (
            await started(powerstrip_app(folder, "plain", SHOP)),
            await started(powerstrip_app(folder, "limited", f"{SHOP}\nratelimit: {{default: {MANY - 1}/minute}}")),
        ),
        SLOWAPI: (await started(direct_fastapi()), await started(slowapi_fastapi())),
        LITESTAR: (await started(plain_litestar()), await started(limited_litestar())),
    }
    client = cycle([("192.0.2.7", 50000)])
    trials = {}
    for name, (without, with_limit) in apps.items():
        trials[f"{name}: without"] = partial(_microseconds, without, client)
        trials[f"{name}: with"] = partial(_microseconds, with_limit, client)
    return await _added("What a limit adds to a request", trials, list(apps), [SLOWAPI, LITESTAR])


async def _crowds(folder: Path, started: Callable[[Any], Awaitable[Any]]) -> Table:
    without = await started(powerstrip_app(folder, "alone", SHOP))
    random, trials = Random(7), {}
    for name, number in ((ONE, 1), (TEN_THOUSAND, SOME), (MILLION, CROWD)):
        settings = f"ratelimit: {{default: {RATE if number > 1 else MANY - 1}/hour, max_keys: {2 * CROWD}}}"
        supervisor = new_supervisor(folder, f"crowd-{number}", f"{SHOP}\n{settings}")
        app = await started(Dispatcher(supervisor, on_failure=raise_it))
        clients = [(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 50000) for n in range(number)]
        await _seen(supervisor, clients)
        drawn = random.choices(clients, k=4 * ROUNDS * REQUESTS)
        trials[f"{name}: without"] = partial(_microseconds, without, cycle(drawn))
        trials[f"{name}: with"] = partial(_microseconds, app, cycle(drawn))
    return await _added("What a limit adds, by how many clients there are", trials, [ONE, TEN_THOUSAND, MILLION], [ONE])


async def _seen(supervisor: Supervisor, clients: Sequence[tuple[str, int]]) -> None:
    """Let the limiter of an application have seen these clients once."""
    assert supervisor.current is not None
    limiter = supervisor.current.application.state.powerstrip.index.services[Limiter]
    policy = limiter.rules.rules[0].policy
    for client in clients:
        await limiter.store.decide((Count(policy, limiter.subjects.address({"client": client})),))


async def _added(
    title: str, trials: Mapping[str, Callable[[], Awaitable[float]]], names: Sequence[str], bases: list[str]
) -> Table:
    await interleave(1, trials)
    measured = {series.name: series.samples for series in await interleave(ROUNDS, trials)}
    added = [
        Series(name=name, samples=list(map(sub, measured[f"{name}: with"], measured[f"{name}: without"])))
        for name in names
    ]
    return Table(title=title, unit="µs", series=added, bases=bases)


async def _microseconds(app: Any, coming: Iterator[tuple[str, int]]) -> float:
    """The mean processor time of a request, what it leaves to the event loop included."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message.get("status", 200) not in (200, 429):
            raise RuntimeError(f"{PATH} was answered {message['status']}")

    scope = request_scope("GET", PATH)
    spent = 0.0
    for _ in range(REQUESTS):
        fresh = {**scope, "headers": list(scope["headers"]), "client": next(coming), "state": {}}
        started = thread_time()
        await app(fresh, receive, send)
        await asyncio.sleep(0)
        spent += thread_time() - started
    return spent / REQUESTS * 1e6


async def _decisions(clients: int) -> Table:
    """Decisions as a server makes them: after each the event loop turns, whose own time is taken off."""
    deciders: Mapping[str, Callable[[], Decide]] = {
        NOTHING: lambda: _nothing,
        SLIDING: partial(_ours, Algorithm.SLIDING),
        GCRA: partial(_ours, Algorithm.GCRA),
        **{name: partial(_theirs, name) for name in STRATEGIES},
    }
    trials = {name: Apart(make, clients) for name, make in deciders.items()}
    await interleave(2, trials)
    measured = {series.name: series.samples for series in await interleave(ROUNDS, trials)}
    floor = measured.pop(NOTHING)
    series = [Series(name=name, samples=list(map(sub, samples, floor))) for name, samples in measured.items()]
    title = f"One decision, {clients:,} {'client' if clients == 1 else 'clients'}"
    return Table(title=title, unit="µs", series=series, bases=[*STRATEGIES], digits=2)


class Apart:
    """A decider with an event loop of its own: what it leaves to the loop is done at its own expense."""

    def __init__(self, make: Callable[[], Decide], clients: int) -> None:
        self._make = make
        self._keys = [f"address:192.0.2.{number}" for number in range(clients)]
        self._coming = cycle(self._keys)
        self._decide: Decide | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1)

    async def __call__(self) -> float:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._round)

    def _round(self) -> float:
        return self._loop.run_until_complete(self._microseconds())

    async def _microseconds(self) -> float:
        if self._decide is None:
            self._decide = self._make()
            for key in self._keys:
                await self._decide(key)
        started = thread_time()
        for _ in range(DECISIONS):
            await self._decide(next(self._coming))
            await asyncio.sleep(0)
        return (thread_time() - started) / DECISIONS * 1e6


def _ours(algorithm: Algorithm) -> Decide:
    store = MemoryStore(lambda: monotonic_ns() // 1000, 2 * CROWD)
    policy = Policy("default", algorithm, MANY - 1, 60 * SECOND, MANY - 1)

    async def decide(key: str) -> None:
        await store.decide((Count(policy, key),))

    return decide


def _theirs(name: str) -> Decide:
    return partial(STRATEGIES[name](MemoryStorage()).hit, RateLimitItemPerMinute(MANY))


async def _nothing(_key: str) -> None:
    return None
