"""The audit log: who did what to whom and when."""

import pytest
from sqlalchemy.exc import DBAPIError

from powerstrip_database import new_id


async def entries(api, admin, query=""):
    answer = await api.get(f"/users/audit?size=100{query}", headers=admin)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_change_is_told_field_by_field_with_who_made_it_and_in_which_request(api):
    admin = await api.admin()
    user_id = (await api.sign_up(full_name="Ada")).json()["id"]
    change = {"full_name": "Ada King", "role": "moderator", "phone": "+4912345", "status": "active"}

    answer = await api.patch(f"/users/{user_id}", change, headers={**admin, "X-Request-ID": "request-of-this-test"})

    (entry, *_) = await entries(api, admin)
    assert entry.pop("id")
    assert entry.pop("time") == answer.json()["updated_at"]
    assert entry == {
        "action": "user.updated",
        "actor_id": await api.id_of("root"),
        "actor": "root",
        "target_id": user_id,
        "changes": {
            "full_name": {"before": "Ada", "after": "Ada King"},
            "phone": {"before": None, "after": "+4912345"},
            "role": {"before": "user", "after": "moderator"},
        },
        "request_id": "request-of-this-test",
        "client_address": "192.0.2.1",
    }


async def test_all_that_changes_accounts_is_told(api):
    admin, user = await api.admin(), await api.user()
    user_id, new_password = await api.id_of("ada"), "another long password"
    await api.put("/users/me", {"full_name": "New"}, headers=user)
    await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})
    body = {"current_password": api.password, "new_password": new_password}
    await api.post("/auth/change-password", body, headers=user)
    await api.post("/auth/reset-password", {"token": await api.link("reset", "ada"), "new_password": api.password})
    await api.post("/users/bulk-update", {"ids": [user_id], "update": {"phone": "+4912345"}}, headers=admin)
    await api.delete(f"/users/{user_id}", headers=admin)

    told = [(entry["action"], entry["actor"], entry["target_id"]) for entry in reversed(await entries(api, admin))]
    assert told == [
        ("user.created", "tests", await api.id_of("root")),
        ("user.created", "ada", user_id),
        ("user.updated", "ada", user_id),
        ("user.verified", "ada", user_id),
        ("user.password_changed", "ada", user_id),
        ("user.password_changed", "ada", user_id),
        ("user.updated", "root", user_id),
        ("users.bulk_updated", "root", None),
        ("user.deleted", "root", user_id),
    ]


async def test_a_deletion_tells_what_was_deleted_and_outlives_the_account(api):
    admin = await api.admin()
    user_id = (await api.sign_up()).json()["id"]

    await api.delete(f"/users/{user_id}", headers=admin)

    (entry, *_) = await entries(api, admin, f"&target_id={user_id}")
    assert entry["action"] == "user.deleted"
    assert {field: change["before"] for field, change in entry["changes"].items()} == {
        "email": "ada@example.com",
        "username": "ada",
        "role": "user",
        "status": "active",
    }
    assert [entry["action"] for entry in await entries(api, admin, f"&actor_id={user_id}")] == ["user.created"]


async def test_no_secret_is_in_the_log(api):
    user = await api.user()
    body = {"current_password": api.password, "new_password": "another long password"}
    await api.post("/auth/change-password", body, headers=user)

    (changes,) = [entry["changes"] for entry in await entries(api, await api.admin(), "&action=user.password_changed")]
    assert changes == {"password": {"before": "(redacted)", "after": "(redacted)"}}


async def test_what_is_refused_or_changes_nothing_is_not_told(api):
    admin, user = await api.admin(), await api.user()
    await api.sign_up("other")
    before = await entries(api, admin)

    refusals = [
        await api.put("/users/me", {"username": "other"}, headers=user),
        await api.put("/users/me", {"full_name": "x"}, headers={**user, "If-Match": '"v9"'}),
        await api.patch(f"/users/{await api.id_of('root')}", {"role": "user"}, headers=admin),
        await api.delete(f"/users/{await api.id_of('root')}", headers=admin),
    ]
    await api.put("/users/me", {"username": "ada"}, headers=user)

    assert [answer.status_code for answer in refusals] == [400, 412, 400, 400]
    assert await entries(api, admin) == before


async def test_a_change_that_can_not_be_told_is_not_made(start):
    """The entry is in the transaction of the change: one is never there without the other."""
    async with start() as api:
        admin = await api.admin()
        user_id = (await api.sign_up()).json()["id"]
        await api.execute("ALTER TABLE users_audit RENAME TO users_audit_gone")

        answers = [
            await api.patch(f"/users/{user_id}", {"full_name": "New"}, headers=admin),
            await api.delete(f"/users/{user_id}", headers=admin),
            await api.sign_up("other"),
            await api.post("/users/bulk-update", {"ids": [user_id], "update": {"full_name": "New"}}, headers=admin),
        ]

        assert [answer.status_code for answer in answers] == [500] * 4
        assert await api.rows("SELECT username, full_name FROM users ORDER BY username") == [
            ("ada", None),
            ("root", None),
        ]
        assert await api.rows("SELECT count(*) FROM users_outbox") == [(1,)]


@pytest.mark.parametrize("statement", ["UPDATE users_audit SET actor = 'nobody'", "DELETE FROM users_audit"])
async def test_not_even_sql_changes_the_log(api, statement):
    await api.sign_up()

    with pytest.raises(DBAPIError, match="append-only"):
        await api.execute(statement)

    assert await api.rows("SELECT actor FROM users_audit") == [("ada",)]


async def test_the_log_is_paged_and_filtered(api):
    admin = await api.admin()
    ids = [(await api.sign_up(f"user{number}")).json()["id"] for number in range(3)]
    await api.patch(f"/users/{ids[0]}", {"full_name": "New"}, headers=admin)

    page = (await api.get("/users/audit?page=2&size=2", headers=admin)).json()

    assert [entry["actor"] for entry in page.pop("items")] == ["user1", "user0"]
    assert page == {"total": 5, "page": 2, "size": 2, "pages": 3, "has_next": True, "has_prev": True}
    root = await api.id_of("root")
    assert [entry["action"] for entry in await entries(api, admin, f"&actor_id={root}")] == ["user.updated"]
    assert len(await entries(api, admin, f"&target_id={ids[0]}")) == 2
    assert len(await entries(api, admin, f"&target_id={ids[0]}&action=user.created")) == 1
    assert await entries(api, admin, f"&target_id={new_id()}") == []


@pytest.mark.parametrize("query", ["actor_id=1", "size=101", "page=0", "action=" + "a" * 51, "action=%00", "who=ada"])
async def test_a_question_to_the_log_that_makes_no_sense_is_refused(admin_on_sqlite, query):
    api, admin = admin_on_sqlite

    assert (await api.get(f"/users/audit?{query}", headers=admin)).status_code == 422


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_changes_the_log_over_http(admin_on_sqlite, method):
    api, admin = admin_on_sqlite

    answer = await api.http.request(method, "/api/v1/users/audit", json={}, headers=admin)

    assert answer.status_code in (405, 422)  # 422: where an id belongs, `audit` is none


@pytest.fixture(scope="module")
async def admin_on_sqlite(shared_on_sqlite):
    return shared_on_sqlite, await shared_on_sqlite.admin()
