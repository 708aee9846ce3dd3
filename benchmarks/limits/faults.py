"""Valkey is taken away under load, in every way: what do clients notice?"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import monotonic, perf_counter

import httpx2

from benchmarks.limits.application import Changes, running
from powerstrip_redis.testing import Valkey

CLIENTS = 8
PAUSE = 0.002  # seconds between two requests of a client, so that their latency is their own
PATIENCE = 60.0

Action = Callable[[Valkey], None]


# What goes wrong, and how it is made good. A server that starts anew has neither scripts nor counters.
FAULTS: Mapping[str, tuple[Action, Action]] = {
    "stopped, then an empty one in its place": (Valkey.stop, Valkey.start),
    "frozen": (Valkey.freeze, Valkey.resume),
    "frozen, then an empty one in its place": (Valkey.freeze, lambda server: (server.stop(), server.start())[-1]),
}


@dataclass
class Requests:
    """What was answered when, and after how many milliseconds."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[float]:
        return [took for at, _, took in self.answers if begin <= at < end]

    def statuses(self) -> Counter[int]:
        return Counter(status for _, status, _ in self.answers)


@dataclass(frozen=True)
class Load:
    """What is going on."""

    server: Valkey
    requests: Requests
    changes: Changes
    seconds: float
    most_added: float


def check(seconds: float, most_added: float) -> list[str]:
    """Go through every fault in every mode, each for so many seconds; returns what was broken. A server that is away
    may add so many milliseconds to each request."""
    return asyncio.run(_check(seconds, most_added))


async def _check(seconds: float, most_added: float) -> list[str]:
    broken: list[str] = []
    server = Valkey()
    try:
        for mode in ("allow", "local", "deny"):
            server.refresh()
            broken += await _mode(server, mode, seconds, most_added)
    finally:
        server.close()
    return broken


async def _mode(server: Valkey, mode: str, seconds: float, most_added: float) -> list[str]:
    requests, over = Requests(), asyncio.Event()
    broken: list[str] = []
    async with running(server.url, {"default": "1000000/hour", "on_store_failure": mode}) as (client, changes):
        load = Load(server, requests, changes, seconds, most_added)
        clients = [asyncio.create_task(_ask(client, requests, over)) for _ in range(CLIENTS)]
        for name, (begin, end) in FAULTS.items():
            broken += await _fault(load, f"{mode}, {name}", begin, end)
        broken += await _forget_scripts(load, mode)
        over.set()
        await asyncio.gather(*clients)
    statuses = requests.statuses()
    if set(statuses) - ({200, 503} if mode == "deny" else {200}):
        broken.append(f"{mode}: answers {dict(statuses)}")
    print(f"{mode}: {', '.join(f'{status}: {count}' for status, count in sorted(statuses.items()))}")
    return broken


async def _fault(load: Load, name: str, begin: Action, end: Action) -> list[str]:
    requests, changes, started = load.requests, load.changes, monotonic()
    await asyncio.sleep(load.seconds)
    fault_at = monotonic()
    healthy = requests.between(started, fault_at)
    await asyncio.to_thread(begin, load.server)
    await _until(lambda: not changes.is_available)
    await asyncio.sleep(load.seconds)
    repaired_at = monotonic()
    # What was under way when it was noticed had waited already.
    meanwhile = requests.between(changes.away_at + 0.05, repaired_at)
    await asyncio.to_thread(end, load.server)
    await _until(lambda: changes.is_available)
    print(
        f"  {name}: noticed after {changes.away_at - fault_at:.2f} s, then {_described(meanwhile)} "
        f"(before: {_described(healthy)}); back {changes.back_at - repaired_at:.2f} s after it was there"
    )
    added = median(meanwhile) - median(healthy)
    return [f"{name}: {added:.1f} ms added to each request"] if added > load.most_added else []


async def _forget_scripts(load: Load, mode: str) -> list[str]:
    """Which nobody may notice."""
    before = monotonic()
    load.server.command("SCRIPT", "FLUSH")
    await asyncio.sleep(load.seconds)
    return [f"{mode}, scripts flushed: the store was taken for away"] if load.changes.away_at > before else []


def _described(milliseconds: list[float]) -> str:
    slow = quantiles(milliseconds, n=100)[-1]
    return f"{len(milliseconds)} requests, median {median(milliseconds):.2f} ms, 99 of 100 within {slow:.1f} ms"


async def _ask(client: httpx2.AsyncClient, requests: Requests, over: asyncio.Event) -> None:
    while not over.is_set():
        at, before = monotonic(), perf_counter()
        answer = await client.get("/api/v1/things")
        requests.answers.append((at, answer.status_code, (perf_counter() - before) * 1000))
        await asyncio.sleep(PAUSE)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.01)
