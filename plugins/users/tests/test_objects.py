"""Whose objects anyone gets at, and which of their properties (OWASP API Security Top 10 2023: API1 and API3)."""

import json

import pytest

from powerstrip_database import new_id

SHOWN = {
    *("id", "email", "username", "full_name", "phone", "status", "role", "is_verified", "last_login"),
    *("created_at", "updated_at", "is_active", "profile_completion"),
}
COUNTS = {"posts_count", "followers_count", "following_count"}

# What is set by the system, or by admins only; then what there is in the table and in nobody's API.
NOT_FOR_USERS = {
    "id": "018f3b1e-7a00-7000-8000-000000000001",
    "role": "admin",
    "status": "active",
    "is_verified": True,
    "is_active": True,
    "last_login": "2026-01-01T00:00:00Z",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "profile_completion": 100,
    "posts_count": 7,
    "password": "another long password",
    "password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
    "email_key": "other@example.com",
    "username_key": "other",
    "search_text": "x",
    "avatar_key": "00/x.webp",
    "version": 1,
    "access_version": 1,
    "permissions": ["*"],
    "__class__": "User",
}
NOT_FOR_ADMINS = {key: value for key, value in NOT_FOR_USERS.items() if key not in ("role", "status", "is_verified")}


def without_request_id(answer):
    error = answer.json()["error"]
    return {key: value for key, value in error.items() if key != "request_id"}


def refusal(answer):
    """The status, and which fields are wrong and why."""
    details = answer.json()["error"]["details"]
    return answer.status_code, [(detail["location"], detail["code"]) for detail in details]


def unknown(*field):
    return 422, [(["body", *field], "extra_forbidden")]


async def account(api, name):
    """The whole row of an account, as the database has it."""
    ((row),) = await api.rows("SELECT * FROM users WHERE username = :name", name=name)
    return row


@pytest.fixture
async def two(api):
    """The headers of Ada, and the id of Bob, who is none of her business."""
    ada = await api.user("ada")
    await api.user("bob")
    return ada, await api.id_of("bob")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/users/{id}", None),
        ("PATCH", "/users/{id}", {"full_name": "Mine"}),
        ("DELETE", "/users/{id}", None),
        ("POST", "/users/bulk-update", {"ids": ["{id}"], "update": {"role": "guest"}}),
        ("GET", "/users/?q=bob", None),
        ("GET", "/users/audit?target_id={id}", None),
    ],
)
async def test_a_user_neither_reads_nor_changes_nor_deletes_somebody_else(api, two, method, path, body):
    ada, bob_id = two
    before = await account(api, "bob")
    sent = json.loads(json.dumps(body).replace("{id}", bob_id))

    answer = await api.http.request(method, f"/api/v1{path.replace('{id}', bob_id)}", json=sent, headers=ada)

    assert answer.status_code == 403
    assert "bob" not in answer.text
    assert await account(api, "bob") == before


async def test_a_stranger_and_a_user_can_not_tell_which_ids_exist(api, two):
    """The same answer by the same work, whether there is such an account or not."""
    ada, bob_id = two
    for headers, status in ((ada, 403), ({}, 401)):
        seen = []
        for user_id in (bob_id, str(new_id())):
            with api.noting_statements() as statements:
                answer = await api.get(f"/users/{user_id}", headers=headers)
            seen.append((answer.status_code, without_request_id(answer), statements))

        assert seen[0] == seen[1]
        assert seen[0][0] == status


async def test_an_id_that_is_none_is_refused_before_it_is_looked_for(api, two):
    ada, _ = two

    assert (await api.get("/users/1", headers=ada)).status_code == 422


@pytest.mark.parametrize(
    "method_and_path", [("GET", "/users/{id}"), ("PATCH", "/users/{id}"), ("DELETE", "/users/{id}")]
)
async def test_only_an_admin_is_told_that_there_is_no_such_account(api, method_and_path):
    method, path = method_and_path
    admin = await api.admin()

    answer = await api.http.request(
        method, f"/api/v1{path.replace('{id}', str(new_id()))}", json={"full_name": "x"}, headers=admin
    )

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "NotFound")


async def test_whoever_may_read_accounts_may_not_change_them_for_that(start):
    async with start(roles={"moderator": ["users:read"]}) as api:
        await api.sign_up("mod")
        await api.execute("UPDATE users SET role = 'moderator' WHERE username = 'mod'")
        mod = await api.sign_in("mod")
        bob_id = (await api.sign_up("bob")).json()["id"]

        assert (await api.get(f"/users/{bob_id}", headers=mod)).json()["username"] == "bob"
        assert (await api.patch(f"/users/{bob_id}", {"full_name": "x"}, headers=mod)).status_code == 403
        assert (await api.delete(f"/users/{bob_id}", headers=mod)).status_code == 403


async def test_the_own_profile_is_nobody_elses_whatever_the_body_or_query_says(api, two):
    ada, bob_id = two
    before = await account(api, "bob")

    by_query = await api.put(f"/users/me?user_id={bob_id}&id={bob_id}", {"full_name": "Mine"}, headers=ada)

    assert by_query.json()["username"] == "ada"
    assert await account(api, "bob") == before


async def test_an_idempotency_key_of_somebody_else_is_another_one(api):
    first, second = await api.admin("first"), await api.admin("second")
    user_id = (await api.sign_up()).json()["id"]

    answers = [
        await api.post(
            "/users/bulk-update",
            {"ids": [user_id], "update": {"full_name": name}},
            headers={**headers, "Idempotency-Key": "same"},
        )
        for headers, name in ((first, "First"), (second, "Second"))
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert "Idempotency-Replayed" not in answers[1].headers


async def test_a_link_of_somebody_else_changes_only_the_account_it_was_made_for(api, two):
    ada, _ = two
    token = await api.link("verify", "bob")

    assert (await api.post("/auth/verify-email", {"token": token}, headers=ada)).status_code == 204

    assert await api.rows("SELECT username, is_verified FROM users WHERE is_verified") == [("bob", True)]


async def test_nobody_signs_up_with_what_is_the_systems(api):
    """Mass assignment: each field is refused by name, and nothing is stored."""
    stray = {field: value for field, value in NOT_FOR_USERS.items() if field != "password"}

    answers = {field: await api.sign_up("stray", **{field: value}) for field, value in stray.items()}

    assert {field: refusal(answer) for field, answer in answers.items()} == {field: unknown(field) for field in stray}
    assert await api.rows("SELECT count(*) FROM users") == [(0,)]


async def test_nobody_gives_himself_what_is_the_systems(api):
    """The same beside a field that is allowed: that one isn't stored either."""
    user = await api.user()
    before = await account(api, "ada")

    answers = {
        field: await api.put("/users/me", {"full_name": "New", field: value}, headers=user)
        for field, value in NOT_FOR_USERS.items()
    }

    assert {field: refusal(answer) for field, answer in answers.items()} == {
        field: unknown(field) for field in NOT_FOR_USERS
    }
    assert await account(api, "ada") == before


async def test_not_even_an_admin_sets_what_is_the_systems(api):
    admin = await api.admin()
    user_id = (await api.sign_up()).json()["id"]
    before = await account(api, "ada")

    for field, value in NOT_FOR_ADMINS.items():
        bulk = {"ids": [user_id], "update": {field: value}}
        single = await api.patch(f"/users/{user_id}", {field: value}, headers=admin)
        many = await api.post("/users/bulk-update", bulk, headers=admin)

        assert refusal(single) == unknown(field)
        assert refusal(many) == unknown("update", field)
    assert await account(api, "ada") == before


@pytest.mark.parametrize(
    "body",
    [
        '{"full_name": "New", "role": "user", "role": "admin"}',
        '{"full_name": "New", "Role": "admin"}',
        '{"full_name": "New", "ro\\u006ce": "admin"}',
        '{"full_name": "New", "role\\u0000": "admin"}',
        '[{"full_name": "New"}, {"role": "admin"}]',
        '{"full_name": {"role": "admin"}}',
    ],
)
async def test_no_way_of_writing_json_sets_a_role(api_on_sqlite, body):
    user = await api_on_sqlite.user()

    answer = await api_on_sqlite.http.put(
        "/api/v1/users/me", content=body, headers={**user, "Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert await api_on_sqlite.rows("SELECT role, full_name FROM users") == [("user", None)]


async def test_no_answer_shows_more_than_it_should(api):
    """Every answer about accounts, field by field."""
    created = (await api.sign_up("bob")).json()
    admin, user = await api.admin(), await api.user()
    user_id = await api.id_of("ada")

    assert set(created) == SHOWN
    assert set((await api.get("/users/me", headers=user)).json()) == SHOWN | COUNTS
    assert set((await api.put("/users/me", {"full_name": "x"}, headers=user)).json()) == SHOWN
    assert set((await api.get(f"/users/{user_id}", headers=user)).json()) == SHOWN
    assert set((await api.patch(f"/users/{user_id}", {"phone": "+4912345"}, headers=admin)).json()) == SHOWN
    for version in ("v1", "v2"):
        for item in (await api.http.get(f"/api/{version}/users/", headers=admin)).json()["items"]:
            assert set(item) == SHOWN


async def test_no_answer_or_row_of_the_log_holds_a_hash_or_a_token(api):
    admin = await api.admin()
    await api.sign_up()
    pair = (await api.token("ada")).json()
    user = api.bearer(pair["access_token"])
    body = {"current_password": api.password, "new_password": "another long password"}
    await api.post("/auth/change-password", body, headers=user)

    texts = [
        (await api.get(path, headers=headers)).text
        for path, headers in (
            ("/users/", admin),
            ("/users/audit?size=100", admin),
            ("/users/me", user),
            ("/auth/sessions", user),
        )
    ]
    secrets = [api.password, "another long password", "argon2", pair["refresh_token"], pair["access_token"]]

    assert [secret for secret in secrets for text in texts if secret in text] == []
