"""Pictures of users: sent, shown, replaced, removed."""

import asyncio
from io import BytesIO

import pytest
from PIL import Image

PATH = "/api/v1/users/me/avatar"


def picture(size=(40, 20), kind="PNG", colour="red", mode="RGB", **options):
    file = BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


async def send(api, headers, content, name="me.png", declared="image/png", **options):
    return await api.http.post(PATH, files={"file": (name, content, declared)}, headers=headers, **options)


async def shown(api, username="ada", **options):
    return await api.get(f"/users/{await api.id_of(username)}/avatar", **options)


def files(api):
    return [path for path in (api.folder / "data/avatars").rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_is_kept_and_shown_as_webp(api, kind):
    user = await api.user()

    sent = await send(api, user, picture(kind=kind))
    answer = await shown(api)

    assert (sent.status_code, sent.content) == (204, b"")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == sent.headers["ETag"]
    assert answer.headers["Content-Type"] == "image/webp"
    with Image.open(BytesIO(answer.content)) as image:
        assert (image.format, image.size) == ("WEBP", (40, 20))


async def test_a_picture_is_shown_as_a_picture_and_as_nothing_else(api_on_sqlite):
    await send(api_on_sqlite, await api_on_sqlite.user(), picture())

    headers = (await shown(api_on_sqlite)).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["Content-Disposition"] == 'inline; filename="avatar.webp"'
    assert headers["Cache-Control"] == "public, max-age=300"


async def test_who_has_the_picture_is_not_sent_it_again(api):
    user = await api.user()
    tag = (await send(api, user, picture())).headers["ETag"]

    same = await shown(api, headers={"If-None-Match": f'"other", W/{tag}'})
    await send(api, user, picture(colour="blue"))
    other = await shown(api, headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert other.status_code == 200


async def test_a_new_picture_replaces_the_old_one_and_its_file(api):
    user = await api.user()

    tags = [(await send(api, user, picture(colour=colour))).headers["ETag"] for colour in ("red", "blue")]

    assert tags[0] != tags[1]
    assert (await shown(api)).headers["ETag"] == tags[1]
    assert len(files(api)) == 1


async def test_a_picture_that_is_removed_is_gone_and_so_is_its_file(api):
    user = await api.user()
    await send(api, user, picture())

    answers = [await api.delete("/users/me/avatar", headers=user) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await shown(api)).status_code == 404
    assert files(api) == []


async def test_a_user_without_a_picture_and_no_user_answer_alike(api):
    await api.sign_up()

    answers = [await shown(api), await api.get("/users/018f3b1e-7a00-7000-8000-000000000001/avatar")]

    for answer in answers:
        answer.json()["error"].pop("request_id")
    assert [(answer.status_code, answer.json()["error"]["type"]) for answer in answers] == [(404, "NotFound")] * 2
    assert answers[0].json()["error"]["message"] == answers[1].json()["error"]["message"]


async def test_the_picture_goes_with_the_account(api):
    user, admin = await api.user(), await api.admin()
    await send(api, user, picture())
    user_id = await api.id_of("ada")

    await api.delete(f"/users/{user_id}", headers=admin)

    assert (await api.get(f"/users/{user_id}/avatar")).status_code == 404
    assert files(api) == []


async def test_a_change_of_the_picture_is_in_the_log_and_is_announced(api):
    user = await api.user()
    before = (await api.get("/users/me", headers=user)).headers["ETag"]
    events = api.listen("user.updated")

    await send(api, user, picture())

    assert [event.data["fields"] for event in events] == [["avatar"]]
    assert await api.rows("SELECT actor FROM users_audit WHERE action = 'user.avatar_changed'") == [("ada",)]
    assert (await api.get("/users/me", headers=user)).headers["ETag"] != before


async def test_pictures_may_be_for_those_who_are_signed_in(start_on_sqlite):
    async with start_on_sqlite(avatars={"visibility": "signed-in"}) as api:
        user = await api.user()
        await send(api, user, picture())

        assert (await shown(api)).status_code == 401
        answer = await shown(api, headers=user)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "private, max-age=300")


async def test_the_files_are_for_their_owner_only(api_on_sqlite):
    await send(api_on_sqlite, await api_on_sqlite.user(), picture())

    ((file),) = files(api_on_sqlite)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


async def test_a_suspended_user_changes_no_picture(api):
    """Also when the token was still believed while the picture arrived."""
    user = await api.user()
    await api.execute("UPDATE users SET status = 'suspended'")

    assert (await send(api, user, picture())).status_code == 401
    assert (await api.delete("/users/me/avatar", headers=user)).status_code == 401
    assert (await shown(api)).status_code == 404


async def test_a_picture_is_received_however_it_is_cut_into_pieces(api_on_sqlite):
    user = await api_on_sqlite.user()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n' + head + picture() + b"\r\n--x--\r\n"

    async def byte_by_byte():
        for position in range(len(body)):
            yield body[position : position + 1]

    headers = {**user, "Content-Type": 'multipart/form-data; boundary="x"'}
    answer = await api_on_sqlite.http.post(PATH, content=byte_by_byte(), headers=headers)

    assert answer.status_code == 204


async def test_files_without_an_account_are_swept_away_and_those_in_use_are_not(start_on_sqlite, clock):
    async with start_on_sqlite(clock=clock) as api:
        await send(api, await api.user(), picture())
        ((kept),) = files(api)
    stray = kept.with_name(kept.name[:33] + "0" * 32 + kept.name[65:])
    draft = kept.with_name(f"{kept.name}.0123456789abcdef.part")
    foreign = kept.with_name("notes.txt")
    for path in (stray, draft, foreign):
        path.write_bytes(b"x")
    clock.advance(10**9)  # from the year of the test's clock to long after the files were written
    async with start_on_sqlite(clock=clock) as api:
        await api.until(lambda: _async(not stray.exists() and not draft.exists()))

        assert sorted(files(api)) == sorted([kept, foreign])


async def _async(value):
    return value


async def test_a_file_that_was_lost_is_not_found(api_on_sqlite):
    await send(api_on_sqlite, await api_on_sqlite.user(), picture())
    ((file),) = files(api_on_sqlite)
    file.unlink()

    assert (await shown(api_on_sqlite)).status_code == 404


async def test_too_many_pictures_at_once_are_sent_away_with_a_time_to_come_back(start_on_sqlite):
    """As many as there are slots for are being received: others are refused before their body is read."""
    async with start_on_sqlite(avatars={"uploads": 1}) as api:
        user = await api.user()
        arriving, may_go_on = asyncio.Event(), asyncio.Event()

        async def slowly():
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            arriving.set()
            await may_go_on.wait()
            yield picture() + b"\r\n--x--\r\n"

        headers = {**user, "Content-Type": "multipart/form-data; boundary=x"}
        first = asyncio.create_task(api.http.post(PATH, content=slowly(), headers=headers))
        await arriving.wait()
        refused = await send(api, user, picture())
        may_go_on.set()

        assert (await first).status_code == 204
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "UploadBusy")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await send(api, user, picture())).status_code == 204


async def test_a_picture_that_comes_too_slowly_gives_its_place_away(start_on_sqlite):
    async with start_on_sqlite(avatars={"uploads": 1, "upload_timeout": 0.1}) as api:
        user = await api.user()

        async def never():
            yield b"--x\r\n"
            await asyncio.Event().wait()

        headers = {**user, "Content-Type": "multipart/form-data; boundary=x"}
        slow = await api.http.post(PATH, content=never(), headers=headers)

        assert (slow.status_code, slow.json()["error"]["type"]) == (408, "UploadTooSlow")
        assert (await send(api, user, picture())).status_code in (204, 408)
