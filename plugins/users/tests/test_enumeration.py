"""What strangers can find out about accounts: nothing, by answers or by the work done for them.

How long an answer takes follows from the work; how long it took on one machine is for `make bench` to say.
"""

import asyncio
import functools

import pytest


def said(answer):
    """All that a client sees, without what differs between any two requests."""
    error = (
        {key: value for key, value in answer.json()["error"].items() if key != "request_id"} if answer.content else {}
    )
    return answer.status_code, error, sorted(set(answer.headers) - {"x-request-id", "server-timing"})


@pytest.fixture
async def accounts(start):
    """Somebody who may sign in, and one each who may not, whatever the password."""
    async with start(sign_in={"account_failures": 1_000, "client_failures": 100_000}) as api:
        for status in ("active", "suspended", "inactive", "pending"):
            await api.sign_up(status)
            await api.execute("UPDATE users SET status = :status WHERE username = :status", status=status)
        yield api


NAMES = ("active", "suspended", "inactive", "pending", "nobody", "active@example.com", "nobody@example.com")


async def test_every_refusal_to_sign_in_is_the_same_answer_after_the_same_statements(accounts):
    seen = {}
    for name in NAMES:
        await accounts.token(name, "wrong password")  # the first failure under a name is one like the others
        with accounts.noting_statements() as statements:
            answer = await accounts.token(name, "wrong password")
        kind = "address" if "@" in name else "username"  # which of two indexes is looked into is the caller's choice
        seen.setdefault(kind, []).append((said(answer), statements))

    for answers in seen.values():
        assert answers == [answers[0]] * len(answers)
    assert seen["address"][0][0] == seen["username"][0][0]
    assert seen["address"][0][0][0] == 401


async def test_every_refusal_to_sign_in_checks_a_password(start_on_sqlite):
    """While the only thread that checks them is busy, and none may wait, all are told so: it was asked for each."""
    passwords = {"memory_kib": 32_768, "iterations": 3, "threads": 1, "queue": 0}
    async with start_on_sqlite(passwords=passwords, sign_in={"account_failures": 1, "longest_lock": 3600}) as api:
        for other in ("busy", "active", "suspended", "locked"):
            await api.sign_up(other)
        await api.execute("UPDATE users SET status = 'suspended' WHERE username = 'suspended'")
        await api.token("locked", "wrong password")
        finished = asyncio.Event()

        async def keep_busy():
            while not finished.is_set():
                await api.token("busy")

        async def is_told_so(name):
            return (await api.token(name, api.password)).json().get("error", {}).get("type") == "SignInBusy"

        busy = asyncio.create_task(keep_busy())
        for name in ("active", "suspended", "locked", "nobody"):
            assert await api.until(functools.partial(is_told_so, name))
        finished.set()
        await busy


async def test_a_locked_name_is_locked_whether_it_is_somebodys_or_not(start, clock):
    async with start(clock=clock, sign_in={"account_failures": 2}) as api:
        await api.sign_up()
        seen = {}
        for name in ("ada", "nobody"):
            for _ in range(3):
                with api.noting_statements() as statements:
                    answer = await api.token(name, "wrong password")
                seen.setdefault(name, []).append((said(answer), statements))

    assert seen["ada"] == seen["nobody"]


async def test_the_right_password_of_an_account_that_may_not_sign_in_is_no_better_than_a_wrong_one(accounts):
    for name in ("suspended", "inactive", "pending"):
        answers = [await accounts.token(name, password) for password in (accounts.password, "wrong password")]
        assert said(answers[0]) == said(answers[1])


async def test_a_forgotten_password_is_answered_alike_after_the_same_work(accounts):
    """One mail is stored for each address, and only that one's owner sees what is in it."""
    seen = []
    for name in ("active", "suspended", "inactive", "pending", "nobody"):
        with accounts.noting_statements() as statements:
            answer = await accounts.post("/auth/forgot-password", {"email": f"{name}@example.com"})
        seen.append((said(answer), statements))

    assert seen == [seen[0]] * 5
    assert seen[0][0][0] == 202
    told = await accounts.rows("SELECT recipient FROM users_outbox WHERE template LIKE 'reset-password%'")
    assert len(told) == 5


@pytest.mark.parametrize("path", ["/auth/reset-password", "/auth/verify-email"])
async def test_a_link_that_is_not_valid_is_refused_alike_whatever_is_wrong_with_it(accounts, path):
    """Made up, for another purpose, or of an account that may not be used."""
    purpose, other = ("reset", "verify") if "reset" in path else ("verify", "reset")
    tokens = ["made up", await accounts.link(other, "active"), await accounts.link(purpose, "suspended")]
    new = {"new_password": "another long password"} if purpose == "reset" else {}

    answers = [await accounts.post(path, {"token": token, **new}) for token in tokens]

    assert [said(answer) for answer in answers] == [said(answers[0])] * 3
    assert (answers[0].status_code, answers[0].json()["error"]["type"]) == (400, "LinkNotValid")


async def test_the_only_ones_to_learn_that_a_name_is_taken_are_those_who_ask_for_it(accounts):
    """Signing up has to say so (SPEC), and costs a password's hash each time."""
    taken = await accounts.sign_up("active")
    by_name = await accounts.sign_up("active", email="new@example.com")

    assert [answer.json()["error"]["type"] for answer in (taken, by_name)] == ["EmailTaken", "UsernameTaken"]
    assert "active" not in taken.text + by_name.text
