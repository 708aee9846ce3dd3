"""Oversized everything (OWASP API Security Top 10 2023: API4): refused early, cheaply and without an echo."""

import json

import pytest

from powerstrip import Plugin, PluginSettings, RateLimiter, hookimpl
from powerstrip.testing.installed import discovery_with

HUGE = "x" * 2_000_000


@pytest.fixture(scope="module")
async def admin(shared_on_sqlite):
    return shared_on_sqlite, await shared_on_sqlite.admin()


def is_refused_without_an_echo(answer, *statuses):
    return answer.status_code in (statuses or (422,)) and len(answer.content) < 5_000


@pytest.mark.parametrize("field", ["email", "username", "full_name", "phone", "password", "confirm_password", "extra"])
async def test_no_field_is_larger_than_it_may_be(admin, field):
    api, _ = admin

    assert is_refused_without_an_echo(await api.sign_up(**{field: HUGE}))


async def test_no_name_of_a_field_is_echoed_that_is_larger_than_any(admin):
    api, _ = admin

    assert is_refused_without_an_echo(await api.sign_up(**{HUGE: 1}))


async def test_not_every_one_of_a_hundred_thousand_fields_is_answered(admin):
    api, _ = admin

    answer = await api.sign_up(**{f"field{number}": 1 for number in range(100_000)})

    assert (answer.status_code, len(answer.json()["error"]["details"])) == (422, 100)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/refresh", {"refresh_token": HUGE}),
        ("/auth/verify-email", {"token": HUGE}),
        ("/auth/reset-password", {"token": HUGE, "new_password": "another long password"}),
        ("/auth/forgot-password", {"email": f"{HUGE}@example.com"}),
        ("/auth/change-password", {"current_password": HUGE, "new_password": "another long password"}),
        ("/auth/change-password", {"current_password": "x", "new_password": HUGE}),
        ("/users/bulk-update", {"ids": [HUGE], "update": {"full_name": "x"}}),
        ("/users/bulk-update", {"ids": ["018f3b1e-7a00-7000-8000-000000000001"], "update": {"full_name": HUGE}}),
    ],
)
async def test_no_secret_or_value_is_larger_than_it_may_be(admin, path, body):
    api, headers = admin

    assert is_refused_without_an_echo(await api.post(path, body, headers=headers))


@pytest.mark.parametrize("form", [{"username": HUGE, "password": "x"}, {"username": "ada", "password": HUGE}])
async def test_no_name_or_password_is_larger_than_it_may_be(admin, form):
    api, _ = admin

    assert is_refused_without_an_echo(await api.http.post("/api/v1/auth/token", data=form), 400, 413, 422)


async def test_a_form_does_not_have_more_fields_than_a_sign_in(admin):
    api, _ = admin

    answer = await api.http.post("/api/v1/auth/token", data={f"field{number}": "x" for number in range(20_000)})

    assert is_refused_without_an_echo(answer, 400, 413, 422)


@pytest.mark.parametrize(
    "query",
    [
        "q=" + "x" * 50_000,
        "cursor=" + "x" * 50_000,
        "sort=" + "x" * 50_000,
        "size=" + "9" * 5_000,
        "created_after=" + "9" * 5_000,
    ],
)
async def test_no_parameter_is_larger_than_it_may_be(admin, query):
    api, headers = admin

    answers = [await api.http.get(f"/api/{version}/users/?{query}", headers=headers) for version in ("v1", "v2")]

    assert all(is_refused_without_an_echo(answer) for answer in answers)


async def test_a_list_of_ids_is_refused_by_its_length(admin):
    """Not one message for each of them."""
    api, headers = admin
    body = {"ids": ["018f3b1e-7a00-7000-8000-000000000001"] * 50_000, "update": {"full_name": "x"}}

    assert is_refused_without_an_echo(await api.post("/users/bulk-update", body, headers=headers))


@pytest.mark.parametrize("ids", [["x"] * 100, [{"a": []}] * 100])
async def test_a_list_of_wrong_ids_is_answered_with_a_message_each_at_most(admin, ids):
    api, headers = admin

    answer = await api.post("/users/bulk-update", {"ids": ids, "update": {"full_name": "x"}}, headers=headers)

    assert (answer.status_code, len(answer.json()["error"]["details"])) == (422, 100)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"username": ' + "9" * 100_000 + "}",
        '{"username": 1e999999999}',
        '{"username": NaN}',
        '{"username": "\ud800"}'.encode("utf-8", "surrogatepass"),
        '{"username": "\\ud800"}',
        b"\xff\xfe",
        b"\x00" * 100,
        "",
        "null",
        "[]",
        '"text"',
        "{",
    ],
)
async def test_a_body_that_is_no_json_or_is_meant_to_hurt_its_reader_is_refused(admin, body):
    api, _ = admin

    answer = await api.http.post("/api/v1/users/", content=body, headers={"Content-Type": "application/json"})

    assert is_refused_without_an_echo(answer, 400, 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "", "x/y/z"])
async def test_a_body_of_another_kind_is_not_read_as_json(admin, kind):
    api, _ = admin
    form = json.dumps({"email": "a@example.com", "username": "ada"})

    answer = await api.http.post("/api/v1/users/", content=form, headers={"Content-Type": kind})

    assert is_refused_without_an_echo(answer, 415, 422)


@pytest.mark.parametrize("name", ["Authorization", "If-None-Match", "User-Agent", "X-Request-ID", "Accept", "Cookie"])
async def test_no_header_is_too_large_to_be_answered(admin, name):
    api, headers = admin

    answer = await api.get("/users/me", headers={**headers, name: "x" * 100_000})

    assert answer.status_code == (401 if name == "Authorization" else 200)


async def test_of_what_a_client_says_about_itself_a_part_is_kept(api):
    await api.sign_up()
    headers = {"User-Agent": b"\x7f\xe9" + b"a" * 10_000, "X-Request-ID": "b" * 10_000}

    pair = (await api.token("ada", headers=headers)).json()

    (session,) = (await api.get("/auth/sessions", headers=api.bearer(pair["access_token"]))).json()
    assert session["user_agent"] == "\u00e9" + "a" * 199


async def test_no_number_of_sign_ins_fills_the_table_of_sessions(start):
    async with start(tokens={"max_sessions": 3}) as api:
        await api.sign_up()
        for _ in range(6):
            await api.token("ada")

        assert await api.rows("SELECT count(*) FROM users_sessions") == [(3,)]


async def test_a_body_larger_than_the_edge_allows_is_not_read_whole(start_on_sqlite):
    """In a composition with `edge`, as in the configs that are shipped."""
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    async with start_on_sqlite(plugins={"edge": True}) as api:
        answer = await api.http.post("/api/v1/users/", content=endless(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "PayloadTooLarge")
    assert sent < 12_000_000


async def test_a_picture_that_is_allowed_passes_the_edge(start_on_sqlite):
    async with start_on_sqlite(plugins={"edge": True}) as api:
        user = await api.user()
        answer = await api.http.post("/api/v1/users/me/avatar", files={"file": b"\0" * 5_242_880}, headers=user)

    assert answer.json()["error"]["type"] == "AvatarNotValid"  # read whole: it is not too large, only no picture


async def test_what_strangers_can_repeat_for_ever_is_counted_by_a_limiter_where_one_is_on(start_on_sqlite):
    """Unrestricted access to sensitive flows (API6): signing up, and having mails sent."""
    counted = []

    class Counting(RateLimiter):
        async def count(self, connection, rate, *, scope, cost):
            counted.append((scope, rate))
            return {"X-RateLimit-Limit": "100"}

    class Limits(Plugin[PluginSettings]):
        """Counts."""

        @hookimpl
        def lifespan(self, services):
            return providing(Counting())

    discovery = discovery_with({"limits": Limits})
    async with start_on_sqlite(plugins={"limits": True}, discovery=discovery) as api:
        answer = await api.sign_up()
        await api.post("/auth/forgot-password", {"email": "ada@example.com"})

    assert counted == [("users:sign-up", "100/hour"), ("users:forgot-password", "20/hour")]
    assert answer.headers["X-RateLimit-Limit"] == "100"


class providing:  # noqa: N801 - a context manager
    def __init__(self, service):
        self._service = service

    async def __aenter__(self):
        return self._service

    async def __aexit__(self, *_exc_info):
        pass
