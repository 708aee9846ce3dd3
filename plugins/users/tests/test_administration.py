"""What admins do with accounts, one at a time."""

import pytest

from powerstrip_database import new_id


@pytest.fixture
async def ada(api):
    """The admin's headers, and the id of a user."""
    admin = await api.admin()
    return admin, (await api.sign_up()).json()["id"]


async def mails(api):
    return set(await api.rows("SELECT template, recipient FROM users_outbox WHERE template <> 'welcome'"))


async def test_an_admin_reads_any_account_and_users_their_own(api, ada):
    admin, user_id = ada
    user = await api.sign_in()

    answers = [await api.get(f"/users/{user_id}", headers=headers) for headers in (admin, user)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_an_admin_changes_everything_that_is_not_the_systems(api, ada):
    admin, user_id = ada
    change = {
        "email": "new@example.com",
        "username": "new",
        "full_name": "New",
        "phone": "4912345",
        "status": "inactive",
        "role": "moderator",
        "is_verified": True,
    }

    answer = await api.patch(f"/users/{user_id}", change, headers=admin)

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change
    assert (await api.get(f"/users/{user_id}", headers=admin)).json() == answer.json()
    assert answer.json()["is_active"] is False


@pytest.mark.parametrize("path", ["/users/{id}", "/users/{id}/"])
async def test_what_is_not_stated_stays(api, ada, path):
    admin, user_id = ada
    before = (await api.get(f"/users/{user_id}", headers=admin)).json()

    answer = (await api.patch(path.replace("{id}", user_id), {"role": "guest"}, headers=admin)).json()

    assert {name for name in answer if answer[name] != before[name]} == {"role", "updated_at"}


async def test_an_address_that_an_admin_changes_is_to_be_confirmed_unless_he_says_it_is(api, ada):
    admin, user_id = ada
    await api.execute("UPDATE users SET is_verified = :yes", yes=True)

    first = await api.patch(f"/users/{user_id}", {"email": "one@example.com"}, headers=admin)
    second = await api.patch(f"/users/{user_id}", {"email": "two@example.com", "is_verified": True}, headers=admin)

    assert [answer.json()["is_verified"] for answer in (first, second)] == [False, True]
    assert await mails(api) == {
        ("email-changed", "ada@example.com"),
        ("verify-email", "one@example.com"),
        ("email-changed", "one@example.com"),
    }


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({}, 422, "ValidationError"),
        ({"role": "god"}, 422, "ValidationError"),
        ({"status": None}, 422, "ValidationError"),
        ({"is_verified": "perhaps"}, 422, "ValidationError"),
        ({"is_verified": 1}, 422, "ValidationError"),
        ({"email": "x@10minutemail.com"}, 422, "EmailNotAllowed"),
        ({"email": "Root@example.com"}, 400, "EmailTaken"),
        ({"username": "ROOT"}, 400, "UsernameTaken"),
    ],
)
async def test_a_change_that_breaks_a_rule_is_refused(api, ada, change, status, kind):
    admin, user_id = ada
    before = (await api.get(f"/users/{user_id}", headers=admin)).json()

    answer = await api.patch(f"/users/{user_id}", change, headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert (await api.get(f"/users/{user_id}", headers=admin)).json() == before


@pytest.mark.parametrize("change", [{"role": "user"}, {"status": "suspended"}, {"status": "inactive", "role": "guest"}])
async def test_the_last_admin_stays_one(api, ada, change):
    admin, _ = ada
    root = await api.id_of("root")

    answer = await api.patch(f"/users/{root}", change, headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "LastAdmin")
    assert (await api.get("/users/", headers=admin)).status_code == 200


async def test_an_admin_who_is_suspended_does_not_count_as_one(api, ada):
    admin, _ = ada
    await api.admin("other")
    await api.patch(f"/users/{await api.id_of('other')}", {"status": "suspended"}, headers=admin)

    answer = await api.patch(f"/users/{await api.id_of('root')}", {"role": "user"}, headers=admin)

    assert answer.json()["error"]["type"] == "LastAdmin"


async def test_the_last_admin_may_change_all_else(api, ada):
    admin, _ = ada
    change = {"role": "admin", "status": "active", "full_name": "Root", "username": "toor"}

    assert (await api.patch(f"/users/{await api.id_of('root')}", change, headers=admin)).status_code == 200


async def test_a_new_role_counts_from_the_next_token(api, ada):
    admin, user_id = ada
    user = await api.sign_in()
    await api.patch(f"/users/{user_id}", {"role": "admin"}, headers=admin)

    assert (await api.get("/users/", headers=user)).status_code == 401
    assert (await api.get("/users/", headers=await api.sign_in())).status_code == 200


async def test_a_suspension_is_announced_with_the_sessions_it_ended(api, ada):
    admin, user_id = ada
    await api.sign_in()
    events = api.listen("*")

    await api.patch(f"/users/{user_id}", {"status": "suspended"}, headers=admin)

    assert sorted(event.type for event in events) == ["session.revoked", "user.suspended", "user.updated"]
    assert {event.data["user_id"] for event in events} == {user_id}


async def test_a_deleted_account_is_gone_with_its_sessions_and_its_names_are_free(api, ada):
    admin, user_id = ada
    user = await api.sign_in()
    events = api.listen("user.deleted")

    answer = await api.delete(f"/users/{user_id}", headers=admin)

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.get(f"/users/{user_id}", headers=admin)).status_code == 404
    assert (await api.delete(f"/users/{user_id}", headers=admin)).status_code == 404
    assert (await api.get("/users/me", headers=user)).status_code == 401
    assert (await api.token("ada")).status_code == 401
    assert [event.data["user_id"] for event in events] == [user_id]
    assert (await api.sign_up()).status_code == 201


@pytest.mark.parametrize("who", ["root", "other"])
async def test_admins_can_not_be_deleted(api, ada, who):
    admin, _ = ada
    await api.admin("other")

    answer = await api.delete(f"/users/{await api.id_of(who)}", headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "AdminNotDeletable")
    assert (await api.token(who)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_account_that_there_is_not_is_not_found(api, ada, method):
    admin, _ = ada

    answer = await api.http.request(method, f"/api/v1/users/{new_id()}", json={"full_name": "x"}, headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NotFound")
