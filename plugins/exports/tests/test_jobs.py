"""Exports that become files."""

import asyncio
import io
import json

import openpyxl
from exports_client import Client
from exports_jobs import ADMIN, OTHER, OWNER, QUICK, ended, fetch, job_of, submit
from exports_sample import thing

from powerstrip import EventBus, Identity
from powerstrip.testing import signed_in


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


async def test_head_tells_of_events_without_waiting_for_any(start_on_sqlite):
    async with start_on_sqlite(jobs={"workers": 0}) as api, asyncio.timeout(30):
        answer = await submit(api)
        head = await api.http.head(f"{answer.headers['Location']}/events", headers=signed_in(OWNER))

    assert (head.status_code, head.content, head.headers["Content-Type"]) == (
        200,
        b"",
        "text/event-stream; charset=utf-8",
    )


async def test_a_caller_watches_so_many_jobs_at_a_time_and_leaves_room_for_others(start_on_sqlite):
    async with start_on_sqlite(jobs={"workers": 0}, budget={"watches": 1}) as api:
        answer = await submit(api)
        path = f"{answer.headers['Location']}/events".removeprefix("/api/v1")
        mine, of_other = Client(api, path, OWNER), Client(api, path, ADMIN)
        for client in (mine, of_other):
            await client.read(2)
        refused = await api.get(path, OWNER)
        mine.leave()
        await asyncio.wait_for(mine.task, 30)
        again = Client(api, path, OWNER)
        for client in (of_other, again):
            await client.read(1)
            client.leave()
            await asyncio.wait_for(client.task, 30)

    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "TooManyWatches")
    assert refused.headers["Retry-After"] == "10"
    assert [client.messages[0]["status"] for client in (of_other, again)] == [200, 200]
