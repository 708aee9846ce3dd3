"""`powerstrip users` and `powerstrip mail`: what an operator types at the machine."""

import asyncio
import json

import pytest
from sqlalchemy import text

from powerstrip_database import Database

PASSWORD = "correct horse battery"


@pytest.fixture
def typed(type_line, powerstrip_config, database_url, monkeypatch):
    """Types `powerstrip ...`, with `input` to type when it asks."""
    cheap = {"memory_kib": 8, "iterations": 1}
    path = powerstrip_config({"database": {"url": database_url}, "users": {"passwords": cheap}})
    monkeypatch.setenv("POWERSTRIP_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("POWERSTRIP_CONFIG", str(path))
    return type_line


ADMIN = ("users", "create-admin", "--email", "root@example.com", "--username", "root")


@pytest.fixture
def asked(start):
    """Asks the API that has the same database: `asked(question)`, where `question(api)` is a coroutine."""

    def ask(question, **settings):
        async def run():
            async with start(**settings) as api:
                return await question(api)

        return asyncio.run(run())

    return ask


def test_an_admin_is_made_who_can_sign_in_and_needs_no_confirmation(typed, asked):
    done = typed(*ADMIN, "--full-name", "Root")

    async def account(api):
        admin = await api.sign_in("root")
        log = (await api.get("/users/audit", headers=admin)).json()["items"]
        return (await api.get("/users/me", headers=admin)).json(), [(e["action"], e["actor"]) for e in log]

    me, log = asked(account)
    assert (done.exit_code, done.stdout) == (0, f"root is an admin now: {me['id']}\n")
    assert (me["role"], me["is_verified"], me["full_name"]) == ("admin", True, "Root")
    assert log == [("user.created", "command line")]
    assert PASSWORD not in done.output


def test_the_password_is_asked_for_twice_where_the_environment_has_none(typed, monkeypatch):
    monkeypatch.delenv("POWERSTRIP_ADMIN_PASSWORD")

    done = typed(*ADMIN, input="another long password\nanother long password\n")

    assert done.exit_code == 0
    assert "another long password" not in done.output


@pytest.mark.parametrize(
    ("option", "password", "said"),
    [
        (("--email", "no address"), PASSWORD, "not a valid e-mail address"),
        (("--username", "r"), PASSWORD, "at least 3 characters"),
        (("--username", "root"), "short", "8 to 100 characters"),
        (("--email", "root@tempmail.com"), PASSWORD, "Addresses of this domain are not accepted"),
        (("--username", "root"), "password1", "one of the commonest passwords"),
    ],
)
def test_an_admin_is_made_by_the_rules_of_the_api(typed, monkeypatch, option, password, said):
    monkeypatch.setenv("POWERSTRIP_ADMIN_PASSWORD", password)

    done = typed(*ADMIN, *option)

    assert done.exit_code in (1, 2)
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_name_that_somebody_has_is_told_without_a_traceback(typed):
    typed(*ADMIN)

    again = typed(*ADMIN)

    assert again.exit_code == 1
    assert "Another account has this e-mail address" in again.stderr
    assert "Traceback" not in again.output


def test_made_up_accounts_can_sign_in_and_go_on_where_they_ended(typed, asked):
    first, second = typed("users", "seed", 20, "--yes"), typed("users", "seed", 5, "--yes", "--password", "x" * 20)

    async def seen(api):
        count = await api.rows("SELECT count(*), count(DISTINCT email_key) FROM users")
        active = await api.rows("SELECT username FROM users WHERE status = 'active' ORDER BY created_at")
        statuses = {(await api.token(name, "correct horse battery staple")).status_code for (name,) in active[:3]}
        return count, statuses

    count, statuses = asked(seen)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert count == [(25, 25)]
    assert statuses <= {200, 401}


def test_made_up_accounts_are_not_added_unasked(typed, asked):
    done = typed("users", "seed", 5, input="n\n")

    async def count(api):
        return await api.rows("SELECT count(*) FROM users")

    assert done.exit_code == 1
    assert asked(count) == [(0,)]


@pytest.fixture
def a_mail_that_nobody_takes(asked):
    """Abandoned after one attempt, at a server that isn't there; its id."""
    nowhere = {"transport": "smtp", "smtp": {"host": "127.0.0.1", "port": 1, "security": "none"}, "max_attempts": 1}

    async def sign_up(api):
        await api.sign_up()
        await api.until(lambda: api.rows("SELECT 1 FROM users_outbox WHERE status = 'abandoned'"))
        async with api.services[Database].transaction() as session:
            await session.execute(text("UPDATE users_outbox SET last_error = 'no \x1b[2Jmail today'"))
        return str((await api.rows("SELECT id FROM users_outbox"))[0][0])

    return asked(sign_up, mail=nowhere)


def test_mails_are_listed_with_what_became_of_them_and_not_with_what_is_in_them(typed, a_mail_that_nobody_takes):
    shown, (facts,) = typed("mail", "list"), json.loads(typed("mail", "list", "--json").stdout)

    assert shown.exit_code == 0
    assert "welcome" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert facts.keys() == {
        *("id", "status", "template", "recipient", "attempts", "created_at", "due_at", "last_error")
    }
    assert (facts["status"], facts["recipient"], facts["attempts"]) == ("abandoned", "ada@example.com", 1)
    assert json.loads(typed("mail", "list", "--json", "--status", "sent").stdout) == []


def test_a_mail_is_sent_after_all_when_it_is_asked_for(typed, a_mail_that_nobody_takes, asked):
    retried, again = typed("mail", "retry", "--all"), typed("mail", "retry", "--all")

    async def sent(api):
        return await api.until(lambda: api.rows("SELECT recipient FROM users_outbox WHERE status = 'sent'"))

    assert (retried.stdout, again.stdout) == ("1 queued\n", "0 queued\n")
    assert asked(sent) == [("ada@example.com",)]


def test_a_mail_that_does_not_wait_can_not_be_retried(typed):
    unknown = typed("mail", "retry", "018f3b1e-7a00-7000-8000-000000000001")
    neither = typed("mail", "retry")

    assert (unknown.exit_code, neither.exit_code) == (1, 2)
    assert "does not exist, was sent, or is being sent" in unknown.stderr
