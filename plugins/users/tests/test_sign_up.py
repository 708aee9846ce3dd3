"""Making accounts."""

import asyncio
from collections import Counter

import pytest


async def test_a_new_account_is_answered_without_its_password(api):
    answer = await api.sign_up("Ada", full_name="  Ada Lovelace ", phone="+441234567890")

    account = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/users/{account['id']}"
    assert answer.headers["ETag"] == '"v1"'
    assert set(account) == {
        *("id", "email", "username", "full_name", "phone", "status", "role", "is_verified", "last_login"),
        *("created_at", "updated_at", "is_active", "profile_completion"),
    }
    assert account["full_name"] == "Ada Lovelace"
    assert account["created_at"].endswith("Z")
    assert (account["status"], account["role"], account["is_verified"]) == ("active", "user", False)
    assert (account["is_active"], account["profile_completion"], account["last_login"]) == (True, 100, None)


async def test_the_password_is_stored_as_argon2id_only(api):
    await api.sign_up()

    ((stored,),) = await api.rows("SELECT password_hash FROM users")
    assert stored.startswith("$argon2id$")


@pytest.mark.parametrize(
    ("fields", "place", "code"),
    [
        ({"email": "no address"}, "email", "email"),
        ({"email": "a@b@example.com"}, "email", "email"),
        ({"email": f"{'a' * 65}@example.com"}, "email", "email"),
        ({"email": "ada@tempmail.com"}, "email", "email_domain"),
        ({"email": "ada@MX1.10MinuteMail.com"}, "email", "email_domain"),
        ({"username": "ab"}, "username", "string_too_short"),
        ({"username": "a" * 51}, "username", "string_too_long"),
        ({"username": "ada-l"}, "username", "string_pattern_mismatch"),
        ({"username": "àda"}, "username", "string_pattern_mismatch"),
        ({"full_name": "a" * 201}, "full_name", "string_too_long"),
        ({"full_name": "a\x00b"}, "full_name", "control_character"),
        ({"full_name": "a\u2028b"}, "full_name", "control_character"),
        ({"phone": "+0123456"}, "phone", "string_pattern_mismatch"),
        ({"phone": "+1"}, "phone", "string_pattern_mismatch"),
        ({"phone": "1" * 16}, "phone", "string_pattern_mismatch"),
        ({"phone": "+1 555"}, "phone", "string_pattern_mismatch"),
        ({"phone": "+١٢٣"}, "phone", "string_pattern_mismatch"),
        ({"password": "short12"}, "password", "too_short"),
        ({"password": "x" * 101}, "password", "too_long"),
        ({"password": "PassWord1"}, "password", "password_guessable"),
        ({"password": "ada@example.com"}, "password", "password_guessable"),
        ({"confirm_password": "something else"}, "confirm_password", "password_mismatch"),
        ({"terms_accepted": False}, "terms_accepted", "literal_error"),
        ({"terms_accepted": 1}, "terms_accepted", "literal_error"),
        ({"terms_accepted": "true"}, "terms_accepted", "literal_error"),
        ({"role": "admin"}, "role", "extra_forbidden"),
        ({"status": "active"}, "status", "extra_forbidden"),
        ({"is_verified": True}, "is_verified", "extra_forbidden"),
        ({"id": "018f3b1e-7a00-7000-8000-000000000001"}, "id", "extra_forbidden"),
    ],
)
async def test_a_value_that_breaks_a_rule_is_named_and_not_repeated(shared_on_sqlite, fields, place, code):
    answer = await shared_on_sqlite.sign_up(**fields)

    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert [(detail["location"], detail["code"]) for detail in details] == [(["body", place], code)]
    assert not any(str(value) in answer.text for key, value in fields.items() if "password" in key)


async def test_a_blank_name_and_phone_are_none(api):
    account = (await api.sign_up(full_name="  ", phone="")).json()

    assert (account["full_name"], account["phone"], account["profile_completion"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"email": "Ada@Example.com"}, {"email": "aDA@example.COM", "username": "other"}, "EmailTaken"),
        ({"username": "Ada"}, {"username": "aDa", "email": "other@example.com"}, "UsernameTaken"),
        ({}, {}, "EmailTaken"),
    ],
)
async def test_names_are_unique_without_regard_to_case(api, first, second, kind):
    await api.sign_up(**first)

    answer = await api.sign_up(**second)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)


async def test_of_fifty_sign_ups_with_one_address_at_once_one_succeeds(api):
    answers = await asyncio.gather(*(api.sign_up(f"user{n}", email="one@example.com") for n in range(50)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 49}
    assert {answer.json()["error"]["type"] for answer in answers if answer.status_code == 400} == {"EmailTaken"}
    assert await api.rows("SELECT count(*) FROM users") == [(1,)]
    assert await api.rows("SELECT count(*) FROM users_outbox") == [(1,)]


async def test_the_welcome_mail_is_stored_with_the_account_and_holds_no_secret(api):
    await api.sign_up()

    ((template, recipient, data, link, status),) = await api.rows(
        "SELECT template, recipient, data, link, status FROM users_outbox"
    )
    assert (template, recipient, link, status) == ("welcome", "ada@example.com", "verify", "queued")
    assert api.password not in str(data)


async def test_a_sign_up_is_announced_after_its_commit(api):
    events = api.listen("user.*")

    account = (await api.sign_up()).json()

    assert [(event.type, event.data) for event in events] == [("user.created", {"user_id": account["id"]})]


async def test_a_refused_sign_up_leaves_nothing_and_is_not_announced(api):
    await api.sign_up()
    events = api.listen("user.*")

    await api.sign_up()

    assert events == []
    assert await api.rows("SELECT count(*) FROM users_audit") == [(1,)]


async def test_accounts_wait_for_their_address_to_be_confirmed_where_that_is_required(start):
    async with start(verification_required=True) as api:
        account = (await api.sign_up()).json()
        before = await api.token("ada")
        await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})
        after = await api.token("ada")

    assert (account["status"], account["is_active"]) == ("pending", False)
    assert (before.status_code, after.status_code) == (401, 200)


async def test_with_and_without_a_slash_the_address_is_the_same(api):
    body = {"email": "a@example.com", "username": "ada", "password": api.password}

    assert (
        await api.post("/users", {**body, "confirm_password": api.password, "terms_accepted": True})
    ).status_code == 201
