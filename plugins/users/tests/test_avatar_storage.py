"""Where pictures are kept: a folder, or a bucket of a real server that speaks the protocol of S3."""

import socket
import time
from io import BytesIO

import pytest
from PIL import Image

from powerstrip import create_app
from powerstrip_users.buckets import BucketFiles
from powerstrip_users.files import LocalFiles
from powerstrip_users.settings import BucketSettings

SECRET = "the secret of the tests"


def settings_of(server, **changed):
    key = {"access_key_id": server.key_id, "secret_access_key": server.secret}
    return {
        "bucket": server.bucket,
        "endpoint": server.endpoint,
        "region": "us-east-1",
        "timeout": 60,
        **key,
        **changed,
    }


@pytest.fixture(params=["folder", "bucket"])
def files(request, tmp_path):
    if request.param == "folder":
        return LocalFiles(tmp_path / "files")
    server = request.getfixturevalue("bucket_server")
    return BucketFiles.of(BucketSettings(**settings_of(server, prefix=f"pictures/{tmp_path.name}")))


def picture(colour="red"):
    file = BytesIO()
    Image.new("RGB", (40, 20), colour).save(file, "PNG")
    return file.getvalue()


async def send(api, headers, content):
    return await api.http.post("/api/v1/users/me/avatar", files={"file": ("me.png", content)}, headers=headers)


async def test_what_is_saved_can_be_read(files):
    await files.save("aa/one.webp", b"\0 one \xff")

    assert await files.read("aa/one.webp") == b"\0 one \xff"


async def test_what_is_not_there_is_none_and_can_be_deleted(files):
    assert await files.read("aa/none.webp") is None
    await files.delete("aa/none.webp")


async def test_what_is_deleted_is_gone(files):
    await files.save("aa/one.webp", b"one")
    await files.delete("aa/one.webp")

    assert await files.read("aa/one.webp") is None
    assert list(await files.keys("aa/")) == []


async def test_keys_are_found_by_what_they_begin_with(files):
    for key in ("aa/one-1.webp", "aa/one-2.webp", "aa/two-1.webp", "bb/one-1.webp"):
        await files.save(key, b"x")

    assert sorted(await files.keys("aa/one-")) == ["aa/one-1.webp", "aa/one-2.webp"]
    assert sorted(await files.keys()) == ["aa/one-1.webp", "aa/one-2.webp", "aa/two-1.webp", "bb/one-1.webp"]


async def test_keys_are_found_by_their_age(files):
    await files.save("aa/one.webp", b"x")

    assert await files.keys("aa/", saved_before=time.time() - 60) == []
    assert await files.keys("aa/", saved_before=time.time() + 60) == ["aa/one.webp"]


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "aa/../../secret", "a\0b", "", "AA/one"])
async def test_a_key_that_leads_elsewhere_is_refused(files, key):
    for call in (files.read(key), files.save(key, b"x"), files.delete(key)):
        with pytest.raises(ValueError, match="no key of a file"):
            await call


async def test_pictures_in_a_bucket_are_kept_shown_replaced_and_removed(start_on_sqlite, bucket_server, tmp_path):
    settings = settings_of(bucket_server, prefix=f"pictures/journey/{tmp_path.name}")
    files = BucketFiles.of(BucketSettings(**settings))
    async with start_on_sqlite(avatars={"s3": settings}) as api:
        user = await api.user()
        path = f"/users/{await api.id_of('ada')}/avatar"
        sent = await send(api, user, picture())
        shown = await api.get(path)
        await send(api, user, picture("blue"))
        kept = await files.keys()
        await api.delete("/users/me/avatar", headers=user)

        assert (sent.status_code, shown.status_code) == (204, 200)
        assert shown.headers["ETag"] == sent.headers["ETag"]
        assert shown.content[8:12] == b"WEBP"
        assert len(kept) == 1
        assert (await api.get(path)).status_code == 404
        assert await files.keys() == []
    assert not (tmp_path / "data/avatars").exists()


async def test_without_an_answer_from_the_bucket_pictures_are_503_and_the_rest_serves(start_on_sqlite):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    key = {"access_key_id": "tests", "secret_access_key": SECRET}
    bucket = {"bucket": "pictures", "endpoint": f"http://127.0.0.1:{port}", "timeout": 0.5, **key}
    async with start_on_sqlite(avatars={"s3": bucket}) as api:
        user = await api.user()
        answer = await send(api, user, picture())

        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "PicturesUnavailable"
        assert answer.headers["Retry-After"] == "5"
        assert SECRET not in answer.text
        assert (await api.get("/users/me", headers=user)).status_code == 200


async def test_a_folder_that_takes_nothing_is_503(start_on_sqlite, tmp_path):
    (tmp_path / "file").touch()
    async with start_on_sqlite(avatars={"folder": str(tmp_path / "file")}) as api:
        answer = await send(api, await api.user(), picture())

    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "PicturesUnavailable")


def test_a_key_without_its_secret_is_a_finding(powerstrip_config):
    bucket = {"bucket": "pictures", "access_key_id": "tests"}
    path = powerstrip_config({"database": True, "users": {"avatars": {"s3": bucket}}})

    with pytest.raises(Exception, match="belong together"):
        create_app(path, environ={})
