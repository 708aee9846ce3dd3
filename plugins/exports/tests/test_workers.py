"""Who works on a job, and what becomes of it when nobody does."""

import asyncio
from datetime import UTC, datetime, timedelta

from exports_jobs import ADMIN, OWNER, QUICK, ended, fetch, job_of, submit
from exports_sample import thing
from sqlalchemy import select, update

from powerstrip import Identity
from powerstrip.testing import FakeClock, signed_in
from powerstrip_database import Database
from powerstrip_exports.models import Job, JobStatus
from powerstrip_exports.worker import JobWorker, Sweep


async def test_files_expire_and_jobs_are_forgotten(start, tmp_path):
    clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with start(clock=clock, jobs={"keep": 3600, "keep_record": 7200, "poll_interval": 0.05}) as api:
        await api.add(thing(1))
        answer = await submit(api)
        job = await ended(api, answer)
        await api.services[Sweep].run()
        kept = await fetch(api, job)
        clock.advance(3_700)
        await api.services[Sweep].run()
        expired = await fetch(api, job)
        shown = await job_of(api, answer)
        left = [*tmp_path.glob("data/exports/*")]
        clock.advance(7_300)
        await api.services[Sweep].run()
        forgotten = await api.http.get(answer.headers["Location"], headers=signed_in(OWNER))

    assert kept.status_code == 200
    assert (expired.status_code, expired.json()["error"]["type"]) == (404, "FileGone")
    assert (shown["status"], shown["file"], left) == ("expired", None, [])
    assert forgotten.status_code == 404


async def test_a_job_survives_a_restart(start):
    async with start(jobs={"workers": 0}) as api:
        await api.add(thing(1))
        answer = await submit(api)
    async with start(**QUICK) as api:
        job = await ended(api, answer)
        fetched = await fetch(api, job)

    assert (job["status"], job["rows"]) == ("done", 1)
    assert len(fetched.text.splitlines()) == 2


async def test_a_job_that_a_stop_interrupts_is_begun_again_at_once(start):
    async with start(**QUICK) as api:
        answer = await api.post("/exports", {"source": "count", "filters": {"rows": 100_000_000}}, OWNER)
        async with asyncio.timeout(30):
            while (await job_of(api, answer))["status"] != "running":  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
    async with start(jobs={"workers": 0}) as api:
        job = await job_of(api, answer)
        async with api.services[Database].reading() as session:
            attempts = await session.scalar(select(Job.attempts))

    assert (job["status"], attempts) == ("queued", 0)


async def test_a_job_whose_worker_died_is_begun_again_after_its_lease(start, tmp_path):
    clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with start(clock=clock, jobs={"workers": 0}) as api:
        await api.add(thing(1))
        answer = await submit(api)
        dead = await api.services[JobWorker]._jobs.claim()
        (tmp_path / "data" / "exports").mkdir(parents=True)
        (tmp_path / "data" / "exports" / f"{dead.id.hex}-1.part").write_bytes(b"half")
        assert await api.services[JobWorker]._jobs.claim() is None
        await api.services[Sweep].run()
        assert [*tmp_path.glob("data/exports/*")], "its worker may still be alive"
    clock.advance(31)
    async with start(clock=clock, **QUICK) as api:
        job = await ended(api, answer)
        await api.services[Sweep].run()
        left = [path.name for path in tmp_path.glob("data/exports/*")]
        assert await api.services[JobWorker]._jobs.finish(dead, JobStatus.FAILED) is False

    assert job["status"] == "done"
    assert left == [f"{dead.id.hex}-2"]


async def test_a_job_that_kills_its_workers_is_given_up(start):
    clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with start(clock=clock, jobs={"workers": 0, "attempts": 2}) as api:
        answer = await submit(api)
        for _ in range(3):
            await api.services[JobWorker]._jobs.claim()
            clock.advance(31)
        job = await job_of(api, answer)

    assert (job["status"], job["error"]["type"]) == ("failed", "WorkerStopped")


async def test_several_workers_share_the_jobs(start):
    async with start(**QUICK) as one, start(**QUICK) as other:
        await one.add(*(thing(n) for n in range(300)))
        answers = [
            await submit(api, Identity(f"u{n}", "U", permissions=frozenset(("*",))))
            for n, api in enumerate([one, other] * 4)
        ]
        jobs = [await ended(one, answer, ADMIN) for answer in answers]
        async with one.services[Database].reading() as session:
            attempts = list(await session.scalars(select(Job.attempts)))

    assert [job["status"] for job in jobs] == ["done"] * 8
    assert attempts == [1] * 8


async def test_whoever_lost_a_job_writes_nothing(start, tmp_path):
    async with start(**QUICK) as api:
        answer = await api.post("/exports", {"source": "count", "filters": {"rows": 100_000_000}}, OWNER)
        async with asyncio.timeout(30):
            while (await job_of(api, answer))["rows"] == 0:  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
        async with api.services[Database].transaction() as session:
            later = datetime.now(UTC) + timedelta(hours=1)
            await session.execute(update(Job).values(attempts=7, leased_until=later))
        async with asyncio.timeout(30):
            while [*tmp_path.glob("data/exports/*")]:  # noqa: ASYNC110 - a folder tells nobody
                await asyncio.sleep(0.02)
        job = await job_of(api, answer)

    assert job["status"] == "running"
