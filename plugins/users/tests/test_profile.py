"""The own profile: read, changed, and with numbers that other plugins contribute."""

from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from powerstrip import Plugin, PluginSettings, hookimpl
from powerstrip.testing.installed import discovery_with
from powerstrip_users.statistics import UserStatistic


async def mails(api):
    return set(await api.rows("SELECT template, recipient FROM users_outbox WHERE template <> 'welcome'"))


async def test_the_profile_is_the_account_with_three_numbers(api):
    account = (await api.sign_up()).json()

    profile = (await api.get("/users/me", headers=await api.sign_in())).json()

    assert {name: profile.pop(name) for name in ("posts_count", "followers_count", "following_count")} == {
        "posts_count": 0,
        "followers_count": 0,
        "following_count": 0,
    }
    ignored = {"last_login": None}
    assert {**profile, **ignored} == {**account, **ignored}


async def test_what_is_stated_is_changed_and_the_rest_stays(api):
    user = await api.user(full_name="Ada", phone="+4912345")
    before = (await api.get("/users/me", headers=user)).json()

    answer = (await api.put("/users/me", {"full_name": "  Ada King "}, headers=user)).json()

    assert {name for name in answer if answer[name] != before[name]} == {"full_name", "updated_at"}
    assert answer["full_name"] == "Ada King"
    assert {**(await api.get("/users/me", headers=user)).json(), **answer} == (
        await api.get("/users/me", headers=user)
    ).json()


@pytest.mark.parametrize(
    ("change", "completion"),
    [
        ({"full_name": "Ada", "phone": "+4912345"}, 100),
        ({"full_name": None}, 50),
        ({"phone": ""}, 50),
        ({"full_name": " ", "phone": None}, 0),
    ],
)
async def test_name_and_phone_can_be_taken_away(api_on_sqlite, change, completion):
    user = await api_on_sqlite.user(full_name="Somebody", phone="123")

    answer = (await api_on_sqlite.put("/users/me", change, headers=user)).json()

    assert answer["profile_completion"] == completion
    assert all(answer[name] == (value or "").strip() or answer[name] is None for name, value in change.items())


@pytest.mark.parametrize(
    ("change", "location", "code"),
    [
        ({}, [], "no_change"),
        ({"email": None}, ["email"], "string_type"),
        ({"username": None}, ["username"], "string_type"),
        ({"username": "a b"}, ["username"], "string_pattern_mismatch"),
        ({"email": "x"}, ["email"], "email"),
        ({"email": "new@tempmail.com"}, ["email"], "email_domain"),
        ({"full_name": "x" * 201}, ["full_name"], "string_too_long"),
        ({"full_name": 7}, ["full_name"], "string_type"),
        ({"phone": "call me"}, ["phone"], "string_pattern_mismatch"),
        ({"phone": 491234}, ["phone"], "string_type"),
    ],
)
async def test_a_change_that_breaks_a_rule_is_refused(user_on_sqlite, change, location, code):
    api, user = user_on_sqlite

    answer = await api.put("/users/me", change, headers=user)

    details = answer.json()["error"]["details"]
    assert answer.status_code == 422
    assert [(detail["location"], detail["code"]) for detail in details] == [(["body", *location], code)]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"email": "OTHER@example.com"}, "EmailTaken"),
        ({"username": "Other"}, "UsernameTaken"),
        ({"username": "Other", "email": "other@example.com"}, "EmailTaken"),
    ],
)
async def test_a_name_that_somebody_has_is_not_taken(api, change, kind):
    await api.sign_up("other")
    user = await api.user()

    answer = await api.put("/users/me", change, headers=user)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)
    assert (await api.get("/users/me", headers=user)).json()["username"] == "ada"


async def test_the_own_name_in_another_case_is_nobody_elses(api):
    user = await api.user()

    answer = await api.put("/users/me", {"username": "ADA", "email": "Ada@example.com"}, headers=user)

    assert (answer.status_code, answer.json()["username"]) == (200, "ADA")
    assert (await api.token("ada")).status_code == 200


async def test_a_new_address_is_to_be_confirmed_and_the_old_one_is_told(api):
    user = await api.user()
    await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})

    answer = (await api.put("/users/me", {"email": "new@example.com"}, headers=user)).json()

    assert (answer["email"], answer["is_verified"]) == ("new@example.com", False)
    assert await mails(api) == {("email-changed", "ada@example.com"), ("verify-email", "new@example.com")}
    await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})
    assert (await api.get("/users/me", headers=user)).json()["is_verified"] is True
    assert [(await api.token(name)).status_code for name in ("ada@example.com", "new@example.com")] == [401, 200]


async def test_the_same_address_in_another_case_stays_confirmed(api):
    user = await api.user()
    await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})

    answer = (await api.put("/users/me", {"email": "ADA@example.com"}, headers=user)).json()

    assert (answer["email"], answer["is_verified"]) == ("ADA@example.com", True)
    assert await mails(api) == set()


async def test_an_address_is_not_moved_long_after_the_sign_in(start, clock):
    """Whoever finds an unlocked phone, or a token, does not get the account with it."""
    async with start(clock=clock, tokens={"recent_sign_in": 60}) as api:
        user = await api.user()
        clock.advance(61)
        await api.read_access_changes()

        refused = await api.put("/users/me", {"email": "new@example.com"}, headers=user)
        same = await api.put("/users/me", {"email": "ada@example.com", "full_name": "New"}, headers=user)
        pair = (await api.token("ada")).json()
        clock.advance(50)
        await api.read_access_changes()
        fresh = await api.put("/users/me", {"email": "new@example.com"}, headers=api.bearer(pair["access_token"]))

    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "RecentSignInRequired")
    assert (same.status_code, fresh.status_code) == (200, 200)


async def test_refreshing_is_not_signing_in(start, clock):
    async with start(clock=clock, tokens={"recent_sign_in": 60}) as api:
        await api.sign_up()
        pair = (await api.token("ada")).json()
        clock.advance(61)
        await api.read_access_changes()
        fresh = (await api.post("/auth/refresh", {"refresh_token": pair["refresh_token"]})).json()

        answer = await api.put("/users/me", {"email": "new@example.com"}, headers=api.bearer(fresh["access_token"]))

    assert answer.status_code == 403


@pytest.mark.parametrize("status", ["suspended", "inactive", "pending"])
async def test_a_token_that_was_not_heard_of_yet_changes_no_account_that_is_not_active(api, status):
    """As when another process suspends somebody: between that and hearing of it the row decides."""
    user = await api.user()
    await api.execute("UPDATE users SET status = :status", status=status)

    answers = [
        await api.get("/users/me", headers=user),
        await api.put("/users/me", {"full_name": "New"}, headers=user),
    ]

    assert [(answer.status_code, answer.json()["error"]["type"]) for answer in answers] == [(401, "InvalidToken")] * 2
    assert await api.rows("SELECT full_name FROM users") == [(None,)]


async def test_a_token_of_a_deleted_account_finds_nothing(api):
    user = await api.user()
    await api.execute("DELETE FROM users")

    answers = [
        await api.get("/users/me", headers=user),
        await api.put("/users/me", {"full_name": "New"}, headers=user),
        await api.delete("/users/me/avatar", headers=user),
        await api.post("/auth/change-password", {"current_password": "x", "new_password": "y" * 10}, headers=user),
    ]

    assert [answer.status_code for answer in answers] == [401] * 4


async def test_a_change_is_announced_by_the_names_of_its_fields(api):
    user = await api.user()
    events = api.listen("user.*")

    await api.put("/users/me", {"full_name": "Secret", "username": "ada2"}, headers=user)

    assert [(event.type, event.data["fields"]) for event in events] == [("user.updated", ["full_name", "username"])]
    assert "Secret" not in str(events[0].data)


async def by_length_of_name(session, user_id):
    name = await session.scalar(text("SELECT username FROM users"))
    return len(name)


async def seven(session, user_id):
    return 7


def contributing(*statistics):
    class Contributor(Plugin[PluginSettings]):
        """Knows numbers."""

        requires = ("users",)

        @hookimpl
        def register_user_statistics(self):
            return list(statistics)

    return Contributor


@asynccontextmanager
async def with_numbers(start, *contributors):
    plugins = {f"numbers{number}": contributor for number, contributor in enumerate(contributors)}
    async with start(plugins=dict.fromkeys(plugins, True), discovery=discovery_with(plugins)) as api:
        yield api


async def test_other_plugins_contribute_numbers(start):
    posts, badges = UserStatistic("posts_count", by_length_of_name), UserStatistic("badges_count", seven)
    async with with_numbers(start, contributing(posts), contributing(badges)) as api:
        user = await api.user()
        profile = (await api.get("/users/me", headers=user)).json()

    assert (profile["posts_count"], profile["badges_count"], profile["followers_count"]) == (3, 7, 0)


async def test_a_number_that_changes_is_sent_again_and_stands_in_no_changes_way(start):
    numbers = iter((1, 1, 2, 2))

    async def count(session, user_id):
        return next(numbers)

    async with with_numbers(start, contributing(UserStatistic("posts_count", count))) as api:
        user = await api.user()
        tag = (await api.get("/users/me", headers=user)).headers["ETag"]
        same = await api.get("/users/me", headers={**user, "If-None-Match": tag})
        other = await api.get("/users/me", headers={**user, "If-None-Match": tag})
        change = await api.put("/users/me", {"full_name": "New"}, headers={**user, "If-Match": tag})

    assert [same.status_code, other.status_code, other.json()["posts_count"], change.status_code] == [304, 200, 2, 200]


@pytest.mark.parametrize("name", ["email", "is_active", "posts_count"])
async def test_two_plugins_do_not_contribute_one_number_and_none_a_field(start_on_sqlite, name):
    contributors = [contributing(UserStatistic(name, seven)), contributing(UserStatistic("posts_count", seven))]

    with pytest.raises(Exception, match=f"'{name}', which is there already"):
        async with with_numbers(start_on_sqlite, *contributors):
            pass


@pytest.fixture(scope="module")
async def user_on_sqlite(shared_on_sqlite):
    return shared_on_sqlite, await shared_on_sqlite.user()
