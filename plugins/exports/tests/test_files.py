"""Files of jobs, in a folder and in a store of objects: whole or not there."""

import os

import pytest
from obstore.store import LocalStore

from powerstrip_exports.bucket import ObjectFileStore, bucket_store
from powerstrip_exports.files import LocalFileStore
from powerstrip_exports.settings import BucketSettings

KEY = "0" * 32 + "-1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["folder", "objects"])
def files(request, tmp_path):
    folder = tmp_path / "files"
    if request.param == "folder":
        return LocalFileStore(folder)
    folder.mkdir()
    return ObjectFileStore(LocalStore(folder))


async def read(files, start, end):
    return b"".join([data async for data in files.reading(KEY, start, end)])


async def test_a_file_is_there_when_it_is_whole(files):
    content = os.urandom(3_000_000)
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
