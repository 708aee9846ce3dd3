"""Signing in, and being refused."""

import asyncio
from collections import Counter

import pytest


async def test_the_address_or_the_username_in_any_case_will_do(api):
    await api.sign_up("Ada")

    answers = [await api.token(name) for name in ("ada", " ADA ", "Ada@Example.COM")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_a_sign_in_gives_a_token_pair_that_no_cache_keeps(api):
    await api.sign_up()

    answer = await api.token("ada")

    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 900)


async def test_a_sign_in_is_remembered_as_the_last_login(api):
    headers = await api.user()

    assert (await api.get("/users/me", headers=headers)).json()["last_login"] is not None


async def test_a_password_that_looks_the_same_on_another_keyboard_is_the_same(api_on_sqlite):
    await api_on_sqlite.sign_up(password="cafe\u0301 au lait")

    assert (await api_on_sqlite.token("ada", "caf\u00e9 au lait")).status_code == 200


@pytest.mark.parametrize("status", ["suspended", "inactive", "pending"])
async def test_every_refusal_is_the_same(api, status):
    """Unknown name, wrong password, an account that may not sign in: nobody can tell which."""
    await api.sign_up()
    await api.sign_up("other")
    await api.execute("UPDATE users SET status = :status WHERE username = 'other'", status=status)

    refusals = [await api.token("nobody"), await api.token("ada", "wrong password"), await api.token("other")]

    for refusal in refusals:
        refusal.json()["error"].pop("request_id")
    bodies = [{**answer.json()["error"], "request_id": None} for answer in refusals]
    assert [answer.status_code for answer in refusals] == [401, 401, 401]
    assert bodies == [bodies[0]] * 3
    assert bodies[0]["type"] == "InvalidCredentials"
    assert len({tuple(sorted(set(answer.headers) - {"x-request-id"})) for answer in refusals}) == 1


async def test_a_name_is_locked_after_failures_for_ever_longer(start, clock):
    async with start(clock=clock, sign_in={"account_failures": 3}) as api:
        await api.sign_up()

        async def fails_then_locked_for(expected):
            assert (await api.token("ada", "wrong password")).status_code == 401
            assert (await api.token("ada")).status_code == 401
            clock.advance(expected - 0.5)
            assert (await api.token("ada")).status_code == 401
            clock.advance(0.5)

        for _ in range(2):
            assert (await api.token("ada", "wrong password")).status_code == 401
        for seconds in (1, 2, 4, 8):
            await fails_then_locked_for(seconds)

        assert (await api.token("ada")).status_code == 200
        assert (await api.token("ada", "wrong password")).status_code == 401
        assert (await api.token("ada")).status_code == 200


async def test_no_lock_is_longer_than_the_longest_and_old_failures_are_forgotten(start, clock):
    limits = {"account_failures": 1, "longest_lock": 60, "window": 100}
    async with start(clock=clock, sign_in=limits) as api:
        await api.sign_up()
        for _ in range(10):
            await api.token("ada", "wrong password")
            clock.advance(60)
        assert (await api.token("ada", "wrong password")).status_code == 401
        clock.advance(101)
        await api.token("ada", "wrong password")
        clock.advance(1)

        assert (await api.token("ada")).status_code == 200


async def test_a_locked_name_that_nobody_has_looks_like_one_that_somebody_has(start, clock):
    async with start(clock=clock, sign_in={"account_failures": 2}) as api:
        await api.sign_up()
        answers = {name: [(await api.token(name, "wrong password")) for _ in range(5)] for name in ("ada", "nobody")}

    seen = {name: [(a.status_code, a.json()["error"]["type"]) for a in found] for name, found in answers.items()}
    assert seen["ada"] == seen["nobody"]


async def test_guessing_many_passwords_at_once_gains_nothing(start, clock):
    """All are sent before any failure is counted. As many are judged as would be one after the other, and the right
    one comes too late while the others are still waiting for their turn."""
    async with start(clock=clock, sign_in={"account_failures": 3}) as api:
        await api.sign_up()
        guesses = [asyncio.create_task(api.token("ada", f"wrong password {number}")) for number in range(30)]
        await api.until(lambda: api.rows("SELECT 1 FROM users_attempts WHERE failures = 3"))

        right = await api.token("ada")
        answers = await asyncio.gather(*guesses)
        judged = await api.rows("SELECT failures FROM users_attempts")

    assert Counter(answer.status_code for answer in (right, *answers)) == {401: 31}
    assert judged == [(3,), (3,)]  # under the name, and from the address


async def test_an_address_with_too_many_failures_is_told_to_wait(start, clock):
    async with start(clock=clock, sign_in={"client_failures": 3, "account_failures": 100}) as api:
        await api.sign_up()
        for number in range(3):
            await api.token(f"nobody{number}")

        refused = await api.token("ada")
        clock.advance(1)
        admitted = await api.token("ada")

    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "TooManySignIns")
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["error"]["retry_after"] == 1
    assert admitted.status_code == 200


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
async def test_an_address_is_an_ipv4_address_or_a_network_of_ipv6(start_on_sqlite, clock, first, second, shared):
    limits = {"client_failures": 1}
    async with start_on_sqlite(clock=clock, client=(first, 1), sign_in=limits) as api:
        await api.token("nobody")
    async with start_on_sqlite(clock=clock, client=(second, 1), sign_in=limits) as api:
        assert (await api.token("nobody2")).status_code == (429 if shared else 401)


async def test_too_many_sign_ins_at_once_are_sent_away_and_the_rest_succeed(start_on_sqlite):
    passwords = {"memory_kib": 4096, "iterations": 2, "threads": 1, "queue": 3}
    async with start_on_sqlite(passwords=passwords) as api:
        await api.sign_up()

        answers = await asyncio.gather(*(api.token("ada") for _ in range(20)))

    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) > 0
    assert Counter(answer.status_code for answer in answers) == {200: 20 - len(refused), 503: len(refused)}
    assert {answer.json()["error"]["type"] for answer in refused} == {"SignInBusy"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


async def test_other_requests_are_answered_while_passwords_are_checked(start_on_sqlite):
    async with start_on_sqlite(passwords={"memory_kib": 65536, "iterations": 3, "threads": 1}) as api:
        await api.sign_up()
        sign_in = asyncio.create_task(api.token("ada"))
        answered = 0
        while not sign_in.done():
            assert (await api.get("/users/me")).status_code == 401
            answered += 1
            await asyncio.sleep(0)

    assert answered > 5


async def test_a_password_is_hashed_anew_when_the_cost_has_changed(start):
    async with start() as api:
        await api.sign_up()
        before = await api.rows("SELECT password_hash FROM users")
    async with start(passwords={"memory_kib": 16, "iterations": 1}) as api:
        await api.sign_in()
        after = await api.rows("SELECT password_hash FROM users")

    assert "m=8,t=1" in before[0][0]
    assert "m=16,t=1" in after[0][0]


@pytest.mark.parametrize(
    "form",
    [
        {"username": "ada"},
        {"password": "x"},
        {"username": "", "password": "x"},
        {"username": "a" * 255, "password": "x"},
        {"username": "ada", "password": "x" * 1001},
        {"username": "ada", "password": "x", "grant_type": "client_credentials"},
    ],
)
async def test_a_form_that_is_no_sign_in_is_refused(api_on_sqlite, form):
    answer = await api_on_sqlite.http.post("/api/v1/auth/token", data=form)

    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "ValidationError")


async def test_the_fields_of_an_oauth2_client_are_ignored(api_on_sqlite):
    await api_on_sqlite.sign_up()
    form = {
        "username": "ada",
        "password": api_on_sqlite.password,
        "grant_type": "password",
        "scope": "",
        "client_id": "x",
    }

    assert (await api_on_sqlite.http.post("/api/v1/auth/token", data=form)).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("%", 401), ("a_a", 401), ("' OR '1'='1", 401), ("ada\x00", 422)])
async def test_a_name_with_special_characters_finds_nobody(api, name, status):
    await api.sign_up()

    assert (await api.token(name)).status_code == status
