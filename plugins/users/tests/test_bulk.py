"""One change for many accounts."""

import pytest

from powerstrip_database import new_id
from powerstrip_users.upkeep import Upkeep


async def people(api, count):
    """The ids of so many new users."""
    return await api.add(f"user{number}" for number in range(count))


async def bulk(api, admin, ids, update, query="", **headers):
    body = {"ids": ids, "update": update}
    return await api.post(f"/users/bulk-update{query}", body, headers={**admin, **headers})


async def names(api):
    return dict(await api.rows("SELECT username, full_name FROM users"))


async def traces(api):
    """How many entries there are in the log, mails and answers under keys: what a change leaves behind."""
    tables = ("users_audit", "users_outbox", "users_idempotency", "users_access_changes")
    return [(await api.rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables]


async def test_every_account_is_changed(api):
    admin, ids = await api.admin(), await people(api, 3)

    answer = await bulk(api, admin, ids, {"full_name": "New", "phone": "+4912345", "is_verified": True})

    assert answer.status_code == 200
    assert answer.json() == {
        "total_requested": 3,
        "successful": 3,
        "failed": 0,
        "errors": [],
        "success_rate": 100.0,
        "dry_run": False,
    }
    assert await api.rows("SELECT DISTINCT full_name, phone FROM users WHERE role = 'user'") == [("New", "+4912345")]


async def test_each_account_succeeds_or_fails_on_its_own(api):
    admin, ids = await api.admin(), await people(api, 2)
    root, nobody = await api.id_of("root"), str(new_id())

    answer = (await bulk(api, admin, [ids[0], nobody, root, ids[1]], {"role": "moderator"})).json()

    assert (answer["total_requested"], answer["successful"], answer["failed"]) == (4, 2, 2)
    assert answer["success_rate"] == 50.0
    assert [(error["id"], error["type"]) for error in answer["errors"]] == [(nobody, "NotFound"), (root, "LastAdmin")]
    assert all(error["message"] for error in answer["errors"])
    roles = dict(await api.rows("SELECT username, role FROM users"))
    assert roles == {"root": "admin", "user0": "moderator", "user1": "moderator"}


async def test_a_share_is_rounded(api):
    admin, ids = await api.admin(), await people(api, 1)

    answer = (await bulk(api, admin, [*ids, str(new_id()), str(new_id())], {"full_name": "x"})).json()

    assert answer["success_rate"] == 33.33


async def test_of_all_admins_as_many_are_demoted_as_leave_one(api):
    admin = await api.admin("a_admin")
    await api.admin("b_admin")
    await api.admin("c_admin")
    ids = [await api.id_of(name) for name in ("a_admin", "b_admin", "c_admin")]

    answer = (await bulk(api, admin, ids, {"status": "suspended"})).json()

    assert (answer["successful"], answer["failed"], answer["errors"][0]["type"]) == (2, 1, "LastAdmin")
    assert len(await api.rows("SELECT 1 FROM users WHERE role = 'admin' AND status = 'active'")) == 1


async def test_atomic_changes_all_or_none(api):
    admin, ids = await api.admin(), await people(api, 2)
    before, left = await names(api), await traces(api)
    nobody = str(new_id())
    events = api.listen("*")

    refused = await bulk(api, admin, [*ids, nobody], {"full_name": "New"}, "?mode=atomic")

    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (409, "BulkNotApplied")
    assert [(detail["id"], detail["type"]) for detail in error["details"]] == [(nobody, "NotFound")]
    assert (await names(api), await traces(api), events) == (before, left, [])
    assert (await bulk(api, admin, ids, {"full_name": "New"}, "?mode=atomic")).json()["successful"] == 2


@pytest.mark.parametrize("query", ["?dry_run=true", "?dry_run=true&mode=atomic"])
async def test_a_dry_run_tells_what_would_happen_and_does_nothing(api, query):
    admin, ids = await api.admin(), await people(api, 12)
    before, left = await names(api), await traces(api)
    events = api.listen("*")

    answer = await bulk(api, admin, ids, {"status": "suspended"}, query, **{"Idempotency-Key": "one"})

    assert (answer.status_code, answer.json()["successful"], answer.json()["dry_run"]) == (200, 12, True)
    assert (await names(api), await traces(api), events) == (before, left, [])
    assert {status for (status,) in await api.rows("SELECT status FROM users")} == {"active"}


async def test_a_dry_run_finds_out_what_can_not_be_changed(api):
    admin, ids = await api.admin(), await people(api, 1)
    everybody = [*ids, str(new_id()), await api.id_of("root")]

    partial = await bulk(api, admin, everybody, {"role": "guest"}, "?dry_run=true")
    atomic = await bulk(api, admin, everybody, {"role": "guest"}, "?dry_run=true&mode=atomic")

    assert [error["type"] for error in partial.json()["errors"]] == ["NotFound", "LastAdmin"]
    assert (atomic.status_code, len(atomic.json()["error"]["details"])) == (409, 2)


async def test_the_same_request_under_one_key_is_done_once(api):
    admin, ids = await api.admin(), await people(api, 2)

    answers = [await bulk(api, admin, ids, {"full_name": "New"}, **{"Idempotency-Key": "one"}) for _ in range(2)]
    await api.patch(f"/users/{ids[0]}", {"full_name": "Newer"}, headers=admin)
    answers.append(await bulk(api, admin, ids, {"full_name": "New"}, **{"Idempotency-Key": "one"}))

    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, "true", "true"]
    assert len({answer.text for answer in answers}) == 1
    assert (await names(api))["user0"] == "Newer"


async def test_another_request_under_the_same_key_is_refused(api):
    admin, ids = await api.admin(), await people(api, 2)
    key = {"Idempotency-Key": "one"}
    await bulk(api, admin, ids, {"full_name": "New"}, **key)

    others = [
        await bulk(api, admin, ids, {"full_name": "Other"}, **key),
        await bulk(api, admin, ids[:1], {"full_name": "New"}, **key),
        await bulk(api, admin, ids, {"full_name": "New"}, "?mode=atomic", **key),
        await bulk(api, admin, ids, {"full_name": "New"}, "?dry_run=true", **key),
    ]

    assert {(answer.status_code, answer.json()["error"]["type"]) for answer in others} == {
        (422, "IdempotencyKeyReused")
    }
    assert (await names(api))["user0"] == "New"


async def test_a_request_that_was_not_done_does_not_use_up_its_key(api):
    admin, ids = await api.admin(), await people(api, 1)
    key = {"Idempotency-Key": "one"}

    await bulk(api, admin, ids, {"full_name": "New"}, "?dry_run=true", **key)
    await bulk(api, admin, [*ids, str(new_id())], {"full_name": "New"}, "?mode=atomic", **key)
    answer = await bulk(api, admin, ids, {"full_name": "New"}, **key)

    assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (200, None)


async def test_a_key_is_forgotten_after_its_time(start, clock):
    async with start(clock=clock, idempotency_lifetime=60, tokens={"access_lifetime": 3600}) as api:
        admin, ids = await api.admin(), await people(api, 1)
        key = {"Idempotency-Key": "one"}
        await bulk(api, admin, ids, {"full_name": "New"}, **key)
        clock.advance(59)
        await api.services[Upkeep].run()
        await api.read_access_changes()
        kept = await bulk(api, admin, ids, {"full_name": "New"}, **key)
        clock.advance(2)
        await api.services[Upkeep].run()
        await api.read_access_changes()
        again = await bulk(api, admin, ids, {"full_name": "New"}, **key)

    assert [answer.headers.get("Idempotency-Replayed") for answer in (kept, again)] == ["true", None]


@pytest.mark.parametrize(("count", "mails"), [(10, 0), (11, 2)])
async def test_the_admins_hear_of_a_change_of_more_than_ten(api, count, mails):
    admin = await api.admin()
    await api.admin("other")
    await api.admin("gone")
    ids = await people(api, count)
    await api.execute("UPDATE users SET status = 'suspended' WHERE username = 'gone'")

    await bulk(api, admin, ids, {"full_name": "New"})

    told = await api.rows("SELECT recipient FROM users_outbox WHERE template = 'bulk-updated' ORDER BY recipient")
    assert told == [("other@example.com",), ("root@example.com",)][:mails]


async def test_a_hundred_accounts_are_changed_at_once(api):
    admin, ids = await api.admin(), await people(api, 100)

    answer = (await bulk(api, admin, ids, {"status": "inactive"})).json()

    assert (answer["successful"], answer["failed"]) == (100, 0)
    assert await api.rows("SELECT count(*) FROM users WHERE status = 'inactive'") == [(100,)]


async def test_who_is_suspended_with_others_loses_access_at_once(api):
    admin, user = await api.admin(), await api.user()

    await bulk(api, admin, [await api.id_of("ada")], {"status": "suspended"})

    assert (await api.get("/users/me", headers=user)).status_code == 401


async def test_a_bulk_update_is_announced_as_one_and_account_by_account(api):
    admin, ids = await api.admin(), await people(api, 2)
    events = api.listen("*")

    await bulk(api, admin, ids, {"full_name": "New"})

    assert sorted(event.type for event in events) == ["user.updated", "user.updated", "users.bulk_updated"]
    (told,) = [event for event in events if event.type == "users.bulk_updated"]
    assert sorted(told.data["user_ids"]) == sorted(ids)


async def test_what_changes_nothing_succeeds_and_leaves_no_trace_of_its_own(api):
    admin, ids = await api.admin(), await people(api, 1)

    answer = (await bulk(api, admin, ids, {"role": "user"})).json()

    assert answer["successful"] == 1
    assert await api.rows("SELECT version FROM users WHERE username = 'user0'") == [(1,)]
    assert await api.rows("SELECT count(*) FROM users_audit WHERE action = 'user.updated'") == [(0,)]


@pytest.mark.parametrize(
    ("ids", "update", "location", "code"),
    [
        ([], {"full_name": "x"}, ["ids"], "too_short"),
        ([str(new_id()) for _ in range(101)], {"full_name": "x"}, ["ids"], "too_long"),
        ([str(new_id())] * 2, {"full_name": "x"}, ["ids"], "duplicate_ids"),
        (["1"], {"full_name": "x"}, ["ids", 0], "uuid_parsing"),
        ([str(new_id())], {}, ["update"], "no_change"),
        ([str(new_id())], {"email": "a@example.com"}, ["update", "email"], "extra_forbidden"),
        ([str(new_id())], {"username": "other"}, ["update", "username"], "extra_forbidden"),
        ([str(new_id())], {"role": None}, ["update", "role"], "enum"),
        ([str(new_id())], {"role": "god"}, ["update", "role"], "enum"),
    ],
)
async def test_a_bulk_update_that_makes_no_sense_is_refused(admin_on_sqlite, ids, update, location, code):
    api, admin = admin_on_sqlite

    answer = await bulk(api, admin, ids, update)

    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert [(detail["location"], detail["code"]) for detail in details] == [(["body", *location], code)]


@pytest.mark.parametrize("key", ["", " ", "a b", "\xe9", "a" * 256])
async def test_a_key_that_is_none_is_refused(admin_on_sqlite, key):
    api, admin = admin_on_sqlite

    answer = await bulk(api, admin, [str(new_id())], {"full_name": "x"}, **{"Idempotency-Key": key.encode("latin-1")})

    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["?mode=some", "?dry_run=perhaps"])
async def test_a_mode_that_there_is_not_is_refused(admin_on_sqlite, query):
    api, admin = admin_on_sqlite

    assert (await bulk(api, admin, [str(new_id())], {"full_name": "x"}, query)).status_code == 422


@pytest.fixture(scope="module")
async def admin_on_sqlite(shared_on_sqlite):
    return shared_on_sqlite, await shared_on_sqlite.admin()
