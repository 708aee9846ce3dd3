"""Loss: clients, workers and Valkey are killed at random; every client has every event once, or was told."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx2

from benchmarks.soak.listeners import Listener, broken_promises
from benchmarks.soak.workers import Worker, install
from powerstrip_redis.testing import Valkey

PUBLISHERS = 10
ROOM_SIZE = 10
CALM_LIMIT = 120.0
ARRIVES_WITHIN = 5.0


@dataclass
class Outcome:
    """What happened, and what was promised and did not."""

    events: int = 0
    unconfirmed: int = 0
    tried_a_second: float = 0.0
    cuts: int = 0
    worker_kills: int = 0
    valkey_kills: int = 0
    received: int = 0
    resumed: int = 0
    told: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass
class Stage:
    """Everything that takes part."""

    valkey: Valkey
    workers: list[Worker]
    listeners: list[Listener]
    rooms: int
    confirmed: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    outcome: Outcome = field(default_factory=Outcome)


async def soak_loss(*, clients: int, seconds: float, rate: float, pauses: tuple[float, float, float]) -> Outcome:
    """`rate` events a second for so long; `pauses` between kills of connections, of a worker, of Valkey."""
    valkey = Valkey()
    with TemporaryDirectory(prefix="powerstrip-soak-") as folder:
        install(Path(folder))
        valkey.start()
        plugins = {
            "redis": {"url": valkey.url, "timeout": 5, "connect_timeout": 5},
            "realtime": {
                "limits": {"connections_per_address": 100_000},
                "history": {"size": 5_000},
                "queue": {"messages": 5_000},
            },
        }
        workers = [Worker(Path(folder), number, plugins) for number in range(2)]
        rooms = max(1, clients // ROOM_SIZE)
        listeners = [Listener(number, str(number % rooms), workers) for number in range(clients)]
        stage = Stage(valkey, workers, listeners, rooms)
        try:
            await asyncio.gather(*(worker.start() for worker in workers))
            await _run(stage, seconds, rate, pauses)
        finally:
            for worker in workers:
                await worker.kill()
            valkey.close()
    return stage.outcome


async def _run(stage: Stage, seconds: float, rate: float, pauses: tuple[float, float, float]) -> None:
    following = [asyncio.create_task(listener.follow()) for listener in stage.listeners]
    await asyncio.gather(*(listener.connected.wait() for listener in stage.listeners))
    print(f"  {len(stage.listeners)} clients are connected", flush=True)
    connections, worker, valkey = pauses
    chaos = [
        asyncio.create_task(_again_and_again(connections, lambda: _cut(stage))),
        asyncio.create_task(_again_and_again(worker, lambda: _kill_worker(stage))),
        asyncio.create_task(_again_and_again(valkey, lambda: _kill_valkey(stage))),
    ]
    began = monotonic()
    until = began + seconds
    publishers = min(PUBLISHERS, stage.rooms)
    await asyncio.gather(
        *(_publish(stage, range(at, stage.rooms, publishers), until, rate / publishers) for at in range(publishers))
    )
    tried = stage.outcome.events + stage.outcome.unconfirmed
    stage.outcome.tried_a_second = round(tried / (monotonic() - began), 1)
    for task in chaos:
        task.cancel()
    await asyncio.gather(*chaos, return_exceptions=True)
    print("  calm again", flush=True)
    await _calm_down(stage)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    _judge(stage)


async def _again_and_again(pause: float, do: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        # A kill that has begun is brought to its end: half of one would be another fault.
        await asyncio.shield(asyncio.ensure_future(do()))


async def _cut(stage: Stage) -> None:
    random.choice(stage.listeners).cut()
    stage.outcome.cuts += 1


async def _kill_worker(stage: Stage) -> None:
    worker = random.choice(stage.workers)
    await worker.kill()
    stage.outcome.worker_kills += 1
    await worker.start()


async def _kill_valkey(stage: Stage) -> None:
    await asyncio.to_thread(stage.valkey.stop)
    stage.outcome.valkey_kills += 1
    await asyncio.sleep(random.uniform(0.1, 1.0))
    await asyncio.to_thread(stage.valkey.start)


async def _publish(stage: Stage, rooms: range, until: float, rate: float) -> None:
    """Publish in rooms of its own, one event after the other, so that each room's events have an order."""
    async with httpx2.AsyncClient(timeout=30) as http:
        number, due = rooms.start, monotonic()
        while monotonic() < until:
            number += rooms.step
            await _publish_one(stage, http, str(random.choice(rooms)), number)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - monotonic()))


async def _publish_one(stage: Stage, http: httpx2.AsyncClient, room: str, number: int) -> bool:
    worker = random.choice(stage.workers)
    try:
        answer = await http.post(f"{worker.url}/soak/events", params={"topic": f"room:{room}", "number": number})
    except httpx2.HTTPError:
        stage.outcome.unconfirmed += 1
        return False
    if answer.status_code != 200:
        stage.outcome.unconfirmed += 1
        return False
    stage.confirmed[room].append(number)
    stage.outcome.events += 1
    return True


async def _calm_down(stage: Stage) -> None:
    """Publish a last event in each room until everybody has it; another where somebody was told of a loss after it."""
    number = 10_000_000
    async with httpx2.AsyncClient(timeout=30) as http, asyncio.timeout(CALM_LIMIT):
        missing = {str(room) for room in range(stage.rooms)}
        while missing:
            for room in missing:
                number += 1
                while not await _publish_one(stage, http, room, number):  # noqa: ASYNC110 - a worker starts
                    await asyncio.sleep(0.2)
            missing = await _rooms_that_miss_their_last(stage)


async def _rooms_that_miss_their_last(stage: Stage) -> set[str]:
    """Rooms where somebody does not have the last event even after a while."""
    missing = set(stage.listeners)
    with suppress(TimeoutError):
        async with asyncio.timeout(ARRIVES_WITHIN):
            while missing:
                missing = {one for one in missing if stage.confirmed[one.room][-1] not in one.journal[-50:]}
                await asyncio.sleep(0.2)
    return {listener.room for listener in missing}


def _judge(stage: Stage) -> None:
    outcome = stage.outcome
    for at, listener in enumerate(stage.listeners):
        journal = listener.journal
        outcome.received += sum(number >= 0 for number in journal)
        outcome.told += sum(number < 0 for number in journal)
        outcome.resumed += listener.resumed
        confirmed = stage.confirmed[listener.room]
        outcome.broken += [f"client {at}: {line}" for line in broken_promises(journal, confirmed)]
