"""Notifications: who may send them, who gets them, and what is kept."""

import asyncio

import pytest

from powerstrip.testing import signed_in


@pytest.fixture
async def api(start, database_url):
    """An application with a database: each test runs on SQLite and on PostgreSQL."""
    async with start(plugins={"database": {"url": database_url}}) as running:
        yield running


async def send(api, sender, **fields):
    return await api.http.post("/api/v1/notifications", json={"title": "Hello", **fields}, headers=signed_in(sender))


async def inbox(api, reader, query=""):
    answer = await api.http.get(f"/api/v1/notifications{query}", headers=signed_in(reader))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def unread(api, reader):
    answer = await api.http.get("/api/v1/notifications/unread", headers=signed_in(reader))
    return answer.json()["unread"]


async def test_a_notification_reaches_sockets_streams_and_the_inbox(api):
    async with api.socket(api.ann) as socket, api.stream(api.ann) as stream, api.socket(api.bob) as bob:
        answer = await send(api, api.root, user_ids=["ann"], message="There.", data={"n": 1})

        assert answer.status_code == 201
        seen = await socket.next()
        assert await stream.next() == seen
        assert (seen["type"], seen["topic"]) == ("notification", "user:ann")
        assert (seen["data"]["title"], seen["data"]["message"], seen["data"]["data"]) == ("Hello", "There.", {"n": 1})
        assert await bob.is_silent()
    (entry,) = (await inbox(api, api.ann))["items"]
    assert (entry["id"], entry["title"], entry["is_read"]) == (answer.json()["ids"][0], "Hello", False)
    assert (await inbox(api, api.bob))["items"] == []


async def test_a_role_and_everybody_can_be_notified(api):
    await send(api, api.root, role="admin", title="For admins")
    await send(api, api.root, everyone=True, title="For all")

    assert [entry["title"] for entry in (await inbox(api, api.root))["items"]] == ["For all", "For admins"]
    assert [entry["title"] for entry in (await inbox(api, api.ann))["items"]] == ["For all"]


async def test_only_those_who_may_can_notify_others(api):
    answer = await send(api, api.ann, everyone=True)

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user_ids": []},
        {"user_ids": ["ann"], "everyone": True},
        {"everyone": False},
        {"everyone": True, "title": " "},
        {"everyone": True, "title": "x" * 201},
        {"everyone": True, "data": {"x": "y" * 20_000}},
        {"everyone": True, "author": "me"},
    ],
)
async def test_a_notification_that_makes_no_sense_is_refused(api, fields):
    assert (await send(api, api.root, **fields)).status_code == 422


async def test_what_is_read_is_no_longer_unread(api):
    for number in range(3):
        await send(api, api.root, user_ids=["ann"], title=str(number))
    [newest, *_] = (await inbox(api, api.ann))["items"]
    url = f"/api/v1/notifications/{newest['id']}/read"

    assert await unread(api, api.ann) == 3
    for _ in range(2):
        assert (await api.http.post(url, headers=signed_in(api.ann))).status_code == 204
    assert await unread(api, api.ann) == 2
    assert [entry["title"] for entry in (await inbox(api, api.ann, "?unread_only=true"))["items"]] == ["1", "0"]
    assert (await api.http.post("/api/v1/notifications/read-all", headers=signed_in(api.ann))).status_code == 204
    assert await unread(api, api.ann) == 0


async def test_what_is_marked_as_read_several_times_at_once_is_read(api):
    answers = []
    for _ in range(5):
        [sent] = (await send(api, api.root, user_ids=["ann"])).json()["ids"]
        asked = (f"/api/v1/notifications/{sent}/read", "/api/v1/notifications/read-all") * 5
        answers += await asyncio.gather(*(api.http.post(url, headers=signed_in(api.ann)) for url in asked))

    assert {answer.status_code for answer in answers} == {204}
    assert await unread(api, api.ann) == 0


async def test_one_users_reading_is_nothing_to_another(api):
    await send(api, api.root, everyone=True)
    await api.http.post("/api/v1/notifications/read-all", headers=signed_in(api.ann))

    assert await unread(api, api.ann) == 0
    assert await unread(api, api.bob) == 1


async def test_what_is_not_in_ones_inbox_can_not_be_marked(api):
    answer = await send(api, api.root, user_ids=["ann"])
    url = f"/api/v1/notifications/{answer.json()['ids'][0]}/read"
    refusal = await api.http.post(url, headers=signed_in(api.bob))

    assert (refusal.status_code, refusal.json()["error"]["type"]) == (404, "UnknownNotification")
    assert await unread(api, api.ann) == 1


async def test_an_inbox_is_read_page_by_page(api):
    for number in range(5):
        await send(api, api.root, user_ids=["ann"], title=str(number))
    first = await inbox(api, api.ann, "?limit=3")
    second = await inbox(api, api.ann, f"?limit=3&before={first['next']}")

    assert [entry["title"] for entry in first["items"]] == ["4", "3", "2"]
    assert [entry["title"] for entry in second["items"]] == ["1", "0"]
    assert second["next"] is None
    assert first["unread"] == 5


async def test_admins_are_told_of_new_and_deleted_users(api):
    async with api.socket(api.root) as root:
        await api.publish("user.created", {"user_id": "zoe"}, "user.created")
        await api.publish("user.deleted", {"user_id": "zoe", "access_changed": True}, "user.deleted")

        kinds = [(await root.next())["data"]["kind"] for _ in range(2)]
        assert kinds == ["user.created", "user.deleted"]


@pytest.mark.parametrize(("count", "told"), [(10, 0), (11, 1)])
async def test_admins_are_told_when_more_than_ten_users_are_changed_at_once(api, count, told):
    data = {"user_ids": [str(number) for number in range(count)], "access_changed": True}
    await api.publish("users.bulk_updated", data, "users.bulk_updated")

    assert await unread(api, api.root) == told


async def test_a_user_who_is_deleted_leaves_nothing_behind(api):
    await send(api, api.root, user_ids=["ann"])
    await send(api, api.root, everyone=True)
    await api.http.post("/api/v1/notifications/read-all", headers=signed_in(api.ann))
    await api.publish("user.deleted", {"user_id": "ann"}, "user.deleted")

    assert await unread(api, api.ann) == 1  # what went to everybody, as if it were new


async def test_without_a_database_notifications_reach_those_who_are_there(start):
    async with start() as api, api.socket(api.ann) as ann:
        answer = await send(api, api.root, user_ids=["ann"])

        assert answer.json()["stored"] is False
        assert (await ann.next())["data"]["title"] == "Hello"
        refusal = await api.http.get("/api/v1/notifications", headers=signed_in(api.ann))
        assert (refusal.status_code, refusal.json()["error"]["type"]) == (503, "InboxUnavailable")
