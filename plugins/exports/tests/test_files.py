"""Files of jobs, in a folder and in a bucket of a real server that speaks the protocol of S3: whole or not there."""

import hashlib
import os

import pytest
from exports_jobs import OWNER, ended, fetch, submit
from exports_sample import thing

from powerstrip_exports.bucket import ObjectFileStore, bucket_store
from powerstrip_exports.files import LocalFileStore
from powerstrip_exports.settings import BucketSettings

KEY = "0" * 32 + "-1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def bucket_of(server, prefix):
    key = {"access_key_id": server.key_id, "secret_access_key": server.secret}
    return {"url": f"s3://{server.bucket}/exports/{prefix}", "endpoint": server.endpoint, "region": "us-east-1", **key}


@pytest.fixture(params=["folder", "bucket"])
def files(request, tmp_path):
    if request.param == "folder":
        return LocalFileStore(tmp_path / "files")
    server = request.getfixturevalue("bucket_server")
    return bucket_store(BucketSettings(**bucket_of(server, tmp_path.name)))


async def read(files, start, end):
    return b"".join([data async for data in files.reading(KEY, start, end)])


async def test_a_file_is_there_when_it_is_whole(files):
    content = os.urandom(9_000_000)  # more than one part of an upload
    async with files.writing(KEY) as file:
        for start in range(0, len(content), 100_000):
            await file.write(content[start : start + 100_000])
        with pytest.raises(FileNotFoundError):
            await read(files, 0, 10)

    assert await read(files, 0, len(content)) == content
    assert await read(files, 10, 600_000) == content[10:600_000]
    assert await read(files, 0, 0) == b""
    assert list(await files.keys()) == [KEY]


async def test_a_file_that_fails_half_way_never_appears(files):
    async def fail():
        async with files.writing(KEY) as file:
            await file.write(b"x" * 1_000_000)
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        await fail()

    with pytest.raises(FileNotFoundError):
        await read(files, 0, 10)


async def test_a_file_is_deleted_also_when_there_is_none(files):
    async with files.writing(KEY) as file:
        await file.write(b"x")

    await files.delete(KEY)
    await files.delete(KEY)

    assert list(await files.keys()) == []


async def test_a_folder_is_for_its_owner_only(tmp_path):
    files = LocalFileStore(tmp_path / "files")
    async with files.writing(KEY) as file:
        await file.write(b"x")

    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "files" / KEY).stat().st_mode & 0o777 == 0o600


def test_a_bucket_is_made_of_its_settings_which_show_no_secret():
    settings = BucketSettings(
        url="s3://exports/some", endpoint="http://127.0.0.1:9", access_key_id="the key", secret_access_key="the secret"
    )

    assert isinstance(bucket_store(settings), ObjectFileStore)
    assert "the secret" not in repr(settings)


async def test_a_job_s_file_in_a_bucket_is_made_fetched_in_parts_and_deleted(start_on_sqlite, bucket_server, tmp_path):
    bucket = bucket_of(bucket_server, f"journey/{tmp_path.name}")
    files = bucket_store(BucketSettings(**bucket))
    async with start_on_sqlite(jobs={"bucket": bucket, "poll_interval": 0.05}) as api:
        await api.add(*(thing(n) for n in range(500)))
        answer = await submit(api, format="ndjson")
        job = await ended(api, answer)
        whole = await fetch(api, job)
        part = await fetch(api, job, Range="bytes=1000-")
        kept = list(await files.keys())
        await api.delete(answer.headers["Location"].removeprefix("/api/v1"), OWNER)

        assert (job["status"], job["rows"], whole.content.count(b"\n")) == ("done", 500, 500)
        assert hashlib.sha256(whole.content).hexdigest() == job["sha256"]
        assert (part.status_code, part.content) == (206, whole.content[1000:])
        assert len(kept) == 1
        assert list(await files.keys()) == []
    assert not (tmp_path / "data/exports").exists()
