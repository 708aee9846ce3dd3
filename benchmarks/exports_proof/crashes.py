"""SIGKILL in the middle of jobs: each ends whole or not at all."""

import asyncio
import hashlib
from contextlib import suppress
from random import Random

from benchmarks.exports_proof.site import Site

KINDS = ("excel", "csv", "ndjson", "parquet")
SWEPT_WITHIN = 30.0


async def kill_often(site: Site, kills: int) -> list[str]:
    """Ask for files and kill the process, again and again; then look at what has become of them."""
    chance = Random(1)
    jobs: list[str] = []
    for number in range(kills):
        async with site.client() as client:
            if number < kills // 4 or not jobs:
                jobs.append(await site.job(client, KINDS[number % len(KINDS)]))
        # Somewhere between before the first row and after the last one.
        await asyncio.sleep(chance.random() * 2)
        site.served.kill()
        await site.restart()
    broken = []
    async with site.client() as client:
        for job in jobs:
            state = await site.end_of(client, job)
            broken += await _look(client, state)
    broken += await _look_for_orphans(site)
    print(f"{kills} x SIGKILL: {len(jobs)} jobs, {len(broken)} broken")
    return broken


async def _look(client, state) -> list[str]:
    if state["status"] == "failed":
        return [] if state["file"] is None else [f"a failed job has a file: {state}"]
    content = (await client.get(state["file"])).content
    if hashlib.sha256(content).hexdigest() != state["sha256"] or len(content) != state["bytes"]:
        return [f"a file is not what its job says: {state}"]
    return []


async def _look_for_orphans(site: Site) -> list[str]:
    folder = site.folder / "data" / "exports"
    site.served.kill()
    await site.restart()  # it sweeps when it starts
    async with site.client() as client:
        listed = (await client.get("/api/v1/exports/jobs")).json()["items"]
    whole = {job["id"].replace("-", "") for job in listed if job["status"] == "done"}
    left: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(SWEPT_WITHIN):
            while True:
                left = [path.name for path in folder.iterdir()]
                if sorted(name.partition("-")[0] for name in left) == sorted(whole):
                    return []
                await asyncio.sleep(0.2)
    return [f"files {left} are there for the jobs {sorted(whole)}"]
