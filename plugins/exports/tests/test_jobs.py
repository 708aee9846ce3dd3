"""Exports that become files."""

import asyncio
import base64
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from exports_sample import thing
from sqlalchemy import select, update

from powerstrip import EventBus, Identity
from powerstrip.testing import FakeClock, signed_in
from powerstrip_database import Database
from powerstrip_exports.models import Job, JobStatus
from powerstrip_exports.worker import JobWorker, Sweep

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))
OTHER = Identity("other", "Other", frozenset(("user",)), frozenset(("things:*",)))
ADMIN = Identity("root", "Root", frozenset(("admin",)), frozenset(("*",)))
ENDED = ("done", "failed", "cancelled", "expired")
QUICK = {"jobs": {"poll_interval": 0.05}}


async def submit(api, caller=OWNER, **request):
    answer = await api.post("/exports", {"source": "things", **request}, caller)
    assert answer.status_code == 202, answer.text
    return answer


async def job_of(api, answer, caller=OWNER):
    return (await api.http.get(answer.headers["Location"], headers=signed_in(caller))).json()


async def ended(api, answer, caller=OWNER):
    async with asyncio.timeout(60):
        while (job := await job_of(api, answer, caller))["status"] not in ENDED:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.05)
    return job


async def fetch(api, job, caller=OWNER, **headers):
    return await api.http.get(job["file"], headers={**signed_in(caller), **headers})


@pytest.fixture
async def api(start):
    async with start(**QUICK) as running:
        yield running


@pytest.fixture
async def api_on_sqlite(start_on_sqlite):
    async with start_on_sqlite(**QUICK) as running:
        yield running


async def test_a_job_becomes_a_file(api):
    await api.add(*(thing(n) for n in range(1_500)))

    answer = await submit(api, format="excel", columns=["number", "name"], filters={"colour": "blue"})
    job = await ended(api, answer)
    fetched = await fetch(api, job)

    queued = answer.json()
    assert answer.headers["Location"] == f"/api/v1/exports/jobs/{queued['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert (queued["status"], queued["file"], queued["rows"]) == ("queued", None, 0)
    assert (job["status"], job["rows"], job["total_rows"], job["percent"]) == ("done", 750, 750, 100.0)
    assert job["file_name"].endswith(".xlsx")
    assert job["bytes"] == len(fetched.content)
    sheet = openpyxl.load_workbook(io.BytesIO(fetched.content)).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows(max_row=2)] == [["number", "name"], [0, "thing 0"]]
    assert sheet.max_row == 751


async def test_a_file_of_a_job_is_what_the_stream_is(api):
    await api.add(*(thing(n) for n in range(700)))

    for kind in ("csv", "ndjson", "json"):
        job = await ended(api, await submit(api, format=kind))
        streamed = await api.get(f"/exports/things?format={kind}", OWNER)
        assert (await fetch(api, job)).content == streamed.content


async def test_a_file_proves_itself(api_on_sqlite):
    await api_on_sqlite.add(*(thing(n) for n in range(100)))

    job = await ended(api_on_sqlite, await submit(api_on_sqlite))
    fetched = await fetch(api_on_sqlite, job)

    digest = hashlib.sha256(fetched.content).digest()
    assert job["sha256"] == digest.hex()
    assert fetched.headers["ETag"] == f'"{digest.hex()}"'
    assert fetched.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert fetched.headers["Content-Length"] == str(len(fetched.content))
    assert fetched.headers["Accept-Ranges"] == "bytes"
    assert "no-transform" in fetched.headers["Cache-Control"]
    assert fetched.headers["Content-Disposition"].startswith('attachment; filename="things-')


@pytest.mark.parametrize(
    ("wanted", "span"),
    [("bytes=0-9", (0, 10)), ("bytes=10-", (10, None)), ("bytes=-7", (-7, None)), ("bytes=5-99999999", (5, None))],
)
async def test_a_part_of_a_file(api_on_sqlite, wanted, span):
    await api_on_sqlite.add(thing(1))
    job = await ended(api_on_sqlite, await submit(api_on_sqlite))
    whole = (await fetch(api_on_sqlite, job)).content

    part = await fetch(api_on_sqlite, job, Range=wanted)

    expected = whole[slice(*span)]
    first = len(whole) - len(expected) if span[1] is None else span[0]
    assert (part.status_code, part.content) == (206, expected)
    assert part.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
    assert part.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("wanted", ["bytes=1-0", "lines=0-1", "bytes=0-1,4-5", "bytes=x-"])
async def test_what_is_no_range_or_too_many_is_the_whole_file(api_on_sqlite, wanted):
    await api_on_sqlite.add(thing(1))
    job = await ended(api_on_sqlite, await submit(api_on_sqlite))

    answer = await fetch(api_on_sqlite, job, Range=wanted)

    assert (answer.status_code, len(answer.content)) == (200, job["bytes"])


async def test_conditions_on_a_file(api_on_sqlite):
    await api_on_sqlite.add(thing(1))
    job = await ended(api_on_sqlite, await submit(api_on_sqlite))
    tag = f'"{job["sha256"]}"'

    beyond = await fetch(api_on_sqlite, job, Range="bytes=99999999-")
    unchanged = await fetch(api_on_sqlite, job, **{"If-None-Match": tag})
    same = await fetch(api_on_sqlite, job, Range="bytes=1-2", **{"If-Range": tag})
    other = await fetch(api_on_sqlite, job, Range="bytes=1-2", **{"If-Range": '"other"'})
    dated = await fetch(api_on_sqlite, job, Range="bytes=1-2", **{"If-Range": "Thu, 26 Nov 2026 08:00:00 GMT"})
    head = await api_on_sqlite.http.head(job["file"], headers={**signed_in(OWNER), "Range": "bytes=1-2"})

    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{job['bytes']}")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert [answer.status_code for answer in (same, other, dated)] == [206, 200, 200]
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (206, b"", "2")


async def test_jobs_are_their_owners_and_of_those_who_manage_exports(api_on_sqlite):
    await api_on_sqlite.add(thing(1))
    answer = await submit(api_on_sqlite)
    job = await ended(api_on_sqlite, answer)
    job_path = answer.headers["Location"].removeprefix("/api/v1")

    for path in (job_path, f"{job_path}/file", f"{job_path}/events"):
        assert (await api_on_sqlite.get(path, None)).status_code == 401
        assert (await api_on_sqlite.get(path, OTHER)).status_code == 404
        assert (await api_on_sqlite.get(path, ADMIN)).status_code == 200
    assert (await api_on_sqlite.delete(job_path, OTHER)).status_code == 404
    mine, of_other = [(await api_on_sqlite.get("/exports/jobs", who)).json()["items"] for who in (OWNER, OTHER)]
    everybodys = (await api_on_sqlite.get("/exports/jobs?all=true", ADMIN)).json()["items"]
    refused = await api_on_sqlite.get("/exports/jobs?all=true", OTHER)
    assert ([entry["id"] for entry in mine], of_other) == ([job["id"]], [])
    assert [entry["requested_by"] for entry in everybodys] == ["Owner"]
    assert refused.status_code == 403


async def test_what_can_not_be_asked_for(api_on_sqlite):
    nobody = Identity("nobody", "Nobody")
    cases = [
        ({"source": "nothing"}, OWNER, 404, "SourceNotKnown"),
        ({"source": "things"}, nobody, 403, "Forbidden"),
        ({"source": "things"}, None, 401, "Unauthorized"),
        ({"source": "things", "columns": ["nope"]}, OWNER, 400, "ColumnNotKnown"),
        ({"source": "things", "filters": {"colour": "green"}}, OWNER, 422, "ValidationError"),
        ({"source": "things", "filters": {"nope": 1}}, OWNER, 422, "ValidationError"),
        ({"source": "things", "format": "pdf"}, OWNER, 422, "ValidationError"),
        ({"source": "things", "columns": []}, OWNER, 422, "ValidationError"),
    ]
    for request, caller, status, kind in cases:
        answer = await api_on_sqlite.post("/exports", request, caller)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    wrong = await api_on_sqlite.post("/exports", {"source": "things", "filters": {"colour": "green"}}, OWNER)
    assert wrong.json()["error"]["details"][0]["location"] == ["body", "filters", "colour"]


async def test_sensitive_columns_are_masked_in_jobs_too(api_on_sqlite):
    reader = Identity("reader", "Reader", frozenset(("user",)), frozenset(("things:read",)))
    await api_on_sqlite.add(thing(1))

    masked = await fetch(api_on_sqlite, await ended(api_on_sqlite, await submit(api_on_sqlite, reader), reader), reader)
    revealed = await fetch(api_on_sqlite, await ended(api_on_sqlite, await submit(api_on_sqlite)))

    assert "secret 1" not in masked.text
    assert "secret 1" in revealed.text


async def test_a_caller_has_so_many_jobs_at_a_time(start):
    async with start(jobs={"workers": 0}, budget={"jobs": 2}) as api:
        for _ in range(2):
            await submit(api)
        together = [api.post("/exports", {"source": "things"}, caller) for caller in (OWNER, OTHER, OTHER, OTHER)]
        answers = await asyncio.gather(*together)

    statuses = [answer.status_code for answer in answers]
    assert statuses[0] == 429
    assert sorted(statuses[1:]) == [202, 202, 429]
    assert answers[0].json()["error"]["type"] == "TooManyJobs"


async def test_a_job_that_waits_can_be_cancelled(start):
    async with start(jobs={"workers": 0}) as api:
        answer = await submit(api)
        path = answer.headers["Location"].removeprefix("/api/v1")
        cancelled = await api.delete(path, OWNER)
        job = await job_of(api, answer)
        fetched = await api.get(f"{path}/file", OWNER)
        forgotten = await api.delete(path, OWNER)
        gone = await api.get(path, OWNER)

    assert (cancelled.status_code, job["status"]) == (204, "cancelled")
    assert (fetched.status_code, fetched.json()["error"]["type"]) == (409, "JobNotFinished")
    assert (forgotten.status_code, gone.status_code) == (204, 404)


async def test_a_job_that_runs_can_be_cancelled_and_leaves_no_file(api_on_sqlite, tmp_path):
    answer = await api_on_sqlite.post("/exports", {"source": "count", "filters": {"rows": 100_000_000}}, OWNER)
    path = answer.headers["Location"].removeprefix("/api/v1")
    async with asyncio.timeout(30):
        while not [*tmp_path.glob("data/exports/*.part")]:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.02)

    await api_on_sqlite.delete(path, OWNER)

    async with asyncio.timeout(30):
        while [*tmp_path.glob("data/exports/*")]:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.02)
    assert (await job_of(api_on_sqlite, answer))["status"] == "cancelled"


async def test_a_job_that_fails_says_so_and_leaves_no_file(api_on_sqlite, tmp_path):
    request = {"source": "count", "filters": {"rows": 50_000, "fail_after": 20_000}}
    answer = await api_on_sqlite.post("/exports", request, OWNER)

    job = await ended(api_on_sqlite, answer)

    assert job["status"] == "failed"
    assert job["error"] == {
        "type": "InternalServerError",
        "message": "An unexpected error happened. It has been logged.",
    }
    assert job["file"] is None
    assert [*tmp_path.glob("data/exports/*")] == []


async def test_a_job_over_its_budget_fails_and_says_why(start_on_sqlite):
    async with start_on_sqlite(budget={"rows": 1}, **QUICK) as api:
        await api.add(thing(1), thing(2))
        job = await ended(api, await submit(api))

    assert (job["status"], job["error"]["type"]) == ("failed", "ExportTooLarge")


async def test_progress_is_told_to_the_owner(api):
    await api.add(*(thing(n) for n in range(1_000)))
    heard = []

    async def note(event):
        heard.append(event)

    with api.services[EventBus].subscribe("user:owner", note):
        answer = await submit(api)
        await ended(api, answer)
        async with asyncio.timeout(20):
            while not any(event.type == "export.done" for event in heard):  # noqa: ASYNC110 - told a moment later
                await asyncio.sleep(0.02)

    last = heard[-1].data
    assert (last["job_id"], last["status"], last["rows"], last["percent"]) == (
        answer.json()["id"],
        "done",
        1_000,
        100.0,
    )
    assert {event.topic for event in heard} == {"user:owner"}


async def test_a_job_can_be_watched(api_on_sqlite):
    await api_on_sqlite.add(*(thing(n) for n in range(500)))
    answer = await submit(api_on_sqlite)

    watched = await api_on_sqlite.http.get(f"{answer.headers['Location']}/events", headers=signed_in(OWNER))

    events = [event.split("\n") for event in watched.text.strip().split("\n\n") if event != ": "]
    assert watched.headers["Content-Type"] == "text/event-stream"
    assert events[-1][0] == "event: end"
    assert json.loads(events[-1][1].removeprefix("data: "))["status"] == "done"


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
