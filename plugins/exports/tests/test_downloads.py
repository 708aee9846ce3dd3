"""Files of jobs over HTTP."""

import asyncio
import base64
import hashlib

import pytest
from exports_client import Client
from exports_jobs import ADMIN, OWNER, QUICK, ended, fetch, submit
from exports_sample import thing

from powerstrip.testing import signed_in


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


async def test_a_caller_fetches_so_many_files_at_a_time_and_leaves_room_for_others(start_on_sqlite):
    async with start_on_sqlite(budget={"downloads": 2}, **QUICK) as api:
        await api.add(thing(1))
        job = await ended(api, await submit(api))
        clients = [Client(api, job["file"].removeprefix("/api/v1"), OWNER) for _ in range(2)]
        for client in clients:
            await client.read(1)
        refused = await fetch(api, job, Range="bytes=0-9")
        unchanged = await fetch(api, job, **{"If-None-Match": f'"{job["sha256"]}"'})
        of_other = await fetch(api, job, ADMIN)
        clients[0].leave()
        await asyncio.wait_for(clients[0].task, 30)
        again = await fetch(api, job)
        await clients[1].read_all()

    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "TooManyDownloads")
    assert refused.headers["Retry-After"] == "10"
    assert (unchanged.status_code, of_other.status_code, again.status_code) == (304, 200, 200)
