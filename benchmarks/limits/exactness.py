"""Many clients on one key, in several processes at once: how many are let through?"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Any

from redis.asyncio import Redis

from benchmarks.limits.application import running
from powerstrip_redis.testing import Valkey

REQUESTS_EACH = 2


def check(workers: int, clients: int, limit: int) -> list[str]:
    """Run every scenario; returns what was broken."""
    server = Valkey()
    server.start()
    broken: list[str] = []
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        for name, (limits, expected) in _scenarios(limit).items():
            server.refresh()
            started = perf_counter()
            tasks = [pool.submit(_worker, server.url, limits, workers, clients) for _ in range(workers)]
            statuses = sum((task.result() for task in tasks), Counter[int]())
            told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
            print(f"{name}: {workers} processes x {clients} clients, {told} ({perf_counter() - started:.0f} s)")
            if statuses[200] != expected or statuses.total() != workers * clients * REQUESTS_EACH:
                broken.append(f"{name}: {statuses[200]} admitted, {expected} allowed")
            if set(statuses) - {200, 429}:
                broken.append(f"{name}: answers {told}")
    finally:
        pool.shutdown(cancel_futures=True)
        server.close()
    return broken


def _scenarios(limit: int) -> Mapping[str, tuple[Mapping[str, Any], int]]:
    """Settings, and how many requests they let through."""
    # So slow a rate gives nothing back meanwhile.
    smooth = {"rate": f"{limit}/366days", "algorithm": "gcra", "burst": limit}
    tight = limit * 7 // 10
    several = {"smooth": smooth, "long": f"{limit + 10}/day", "tight": f"{tight}/hour"}
    return {
        "sliding": ({"default": f"{limit}/hour"}, limit),
        "gcra": ({"default": None, "policies": {"smooth": smooth}}, limit),
        "several at once": ({"default": f"{2 * limit}/hour", "policies": several}, tight),
    }


def _worker(url: str, limits: Mapping[str, Any], workers: int, clients: int) -> Counter[int]:
    return asyncio.run(_ask(url, limits, workers, clients))


async def _ask(url: str, limits: Mapping[str, Any], workers: int, clients: int) -> Counter[int]:
    # Generous: what is looked for is a wrong count, not a slow machine.
    async with running(url, {**limits, "store_timeout": 60, "on_store_failure": "deny"}) as (client, _):

        async def one() -> list[int]:
            return [(await client.get("/api/v1/things")).status_code for _ in range(REQUESTS_EACH)]

        await _all_are_ready(url, workers)
        answers = await asyncio.gather(*(one() for _ in range(clients)))
    return Counter(status for statuses in answers for status in statuses)


async def _all_are_ready(url: str, workers: int) -> None:
    """Return in all processes at the same time."""
    async with Redis.from_url(url) as meeting:
        await meeting.incr("ready")
        while int(await meeting.get("ready")) < workers:  # noqa: ASYNC110 - what is waited for is other processes
            await asyncio.sleep(0.01)
