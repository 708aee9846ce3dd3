"""SIGKILL in the middle of jobs: each ends whole or not at all."""

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.exports_proof.site import Site

KINDS = ("excel", "csv", "ndjson", "parquet")
MOST_WAITING = 3  # of one caller, by default
STARTED_WITHIN = 5.0
LONGEST = 0.25  # seconds that a file of the few takes, about
MOST_TRIES = 5  # for each kill that shall hit
SWEPT_WITHIN = 30.0


async def kill_often(site: Site, kills: int) -> list[str]:
    """Ask for files and kill the process, until `kills` of them came while a file was being written; then look at what
    has become of them all."""
    await site.restart()
    chance = Random(1)
    jobs: list[str] = []
    in_the_middle = tries = 0
    while in_the_middle < kills and tries < MOST_TRIES * kills:
        tries += 1
        async with site.client() as client:
            if await _may_ask(client):
                jobs.append(await site.job(client, KINDS[len(jobs) % len(KINDS)]))
        with suppress(TimeoutError):
            async with asyncio.timeout(STARTED_WITHIN):
                while not _drafts(site):  # noqa: ASYNC110 - a folder tells nobody
                    await asyncio.sleep(0.005)
        # Somewhere between before the first row and after the last one.
        await asyncio.sleep(chance.random() * LONGEST)
        in_the_middle += bool(_drafts(site))
        await site.restart()
    broken = (
        [] if in_the_middle == kills else [f"only {in_the_middle} of {tries} SIGKILLs came while a file was written"]
    )
    async with site.client() as client:
        for job in jobs:
            state = await site.end_of(client, job)
            broken += await _look(client, state)
    broken += await _look_for_orphans(site)
    print(f"{tries} x SIGKILL, {in_the_middle} of them into a file: {len(jobs)} jobs, {len(broken)} broken", flush=True)
    return broken


def _drafts(site: Site) -> list[Path]:
    return [*(site.folder / "data" / "exports").glob("*.part")]


async def _may_ask(client) -> bool:
    jobs = (await client.get("/api/v1/exports/jobs")).json()["items"]
    return sum(job["status"] in ("queued", "running") for job in jobs) < MOST_WAITING


async def _look(client, state) -> list[str]:
    if state["status"] == "failed":
        return [] if state["file"] is None else [f"a failed job has a file: {state}"]
    content = (await client.get(state["file"])).content
    if hashlib.sha256(content).hexdigest() != state["sha256"] or len(content) != state["bytes"]:
        return [f"a file is not what its job says: {state}"]
    return []


async def _look_for_orphans(site: Site) -> list[str]:
    folder = site.folder / "data" / "exports"
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
