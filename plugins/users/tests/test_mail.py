"""Mails on their way from the outbox to a real mail server."""

import asyncio
import logging
import re

import pytest

from powerstrip_users.outbox import Outbox
from powerstrip_users.upkeep import Upkeep


async def statuses(api):
    return [row[0] for row in await api.rows("SELECT status FROM users_outbox ORDER BY created_at, id")]


async def has_status(api, *wanted):
    async def arrived():
        return await statuses(api) == list(wanted)

    await api.until(arrived)


def body(mail):
    return mail.get_content().replace("\r\n", "\n")


def token_in(mail):
    return re.search(r"\S{60,}", body(mail)).group()


async def hang(_server):
    await asyncio.Event().wait()


async def drop(server):
    server.transport.abort()
    return "421 gone"


def answer(text):
    async def misbehave(_server):
        return text

    return misbehave


async def test_a_new_user_confirms_the_address_with_the_welcome_mail(start, post_office):
    async with start(mail=post_office.settings()) as api:
        headers = await api.user()
        await post_office.has_taken(1)
        (mail,) = post_office.mails

        confirmed = await api.post("/auth/verify-email", {"token": token_in(mail)})

        assert confirmed.status_code == 204, confirmed.text
        assert (await api.get("/users/me", headers=headers)).json()["is_verified"] is True


async def test_a_mail_says_whom_it_is_from_and_for_and_which_one_it_is(start, post_office):
    async with start(mail=post_office.settings(site="My Site")) as api:
        await api.sign_up()
        await post_office.has_taken(1)
        ((mail_id,),) = await api.rows("SELECT id FROM users_outbox")

        (mail,) = post_office.mails

    dashed = re.sub(r"(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", str(mail_id).replace("-", ""))
    assert mail["Message-ID"] == f"<{dashed}@site.example>"
    assert (mail["From"], mail["To"]) == ("Site <no-reply@site.example>", "ada@example.com")
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Welcome to My Site", "auto-generated")
    assert body(mail).startswith("Hello ada,\n\nyour account at My Site is ready.")


async def test_a_mail_leads_to_the_operators_page(start, post_office):
    page = "https://app.example.com/verify?token={token}"
    async with start(mail=post_office.settings(), links={"verify_url": page}) as api:
        await api.sign_up()
        await post_office.has_taken(1)

    assert token_in(post_office.mails[0]).startswith("https://app.example.com/verify?token=ey")


async def test_a_change_that_is_not_committed_sends_no_mail(start, post_office):
    async with start(mail=post_office.settings()) as api:
        await api.sign_up("ada")
        assert (await api.sign_up("eve", email="ADA@example.com")).status_code == 400
        await api.sign_up("bob")
        await post_office.has_taken(2)
        await has_status(api, "sent", "sent")

    assert sorted(mail["To"] for mail in post_office.mails) == ["ada@example.com", "bob@example.com"]


async def test_a_mail_leaves_at_once_and_not_when_somebody_looks(start, post_office):
    async with start(mail=post_office.settings(poll_interval=300)) as api:
        await asyncio.sleep(0)
        await api.sign_up()

        await post_office.has_taken(1)


async def test_what_was_in_a_mail_is_forgotten_once_it_is_sent(start, post_office):
    async with start(mail=post_office.settings()) as api:
        await api.sign_up(full_name="Ada Lovelace")
        await has_status(api, "sent")

        ((data, error),) = await api.rows("SELECT data, last_error FROM users_outbox")

    assert (data in ({}, "{}"), error) == (True, None)


@pytest.mark.parametrize(
    ("mischief", "patience"),
    [(answer("451 later"), 60), (answer("554 not now"), 60), (drop, 60), (hang, 1)],
    ids=["451", "554", "drop", "hang"],
)
async def test_a_mail_that_the_server_does_not_take_is_sent_later(start_on_sqlite, post_office, mischief, patience):
    post_office.mischief.append(mischief)
    async with start_on_sqlite(mail=post_office.settings(timeout=patience)) as api:
        await api.sign_up()
        await has_status(api, "sent")

        assert await api.rows("SELECT attempts FROM users_outbox") == [(2,)]
    assert len(post_office.mails) == 1


async def test_an_address_that_the_server_does_not_know_is_given_up_at_once(start, post_office):
    post_office.refusals.append("550 no such user")
    async with start(mail=post_office.settings()) as api:
        await api.sign_up()
        await has_status(api, "abandoned")

        ((attempts, reason),) = await api.rows("SELECT attempts, last_error FROM users_outbox")

    assert (attempts, reason) == (1, "SMTPRecipientRefused 550: no such user")


async def test_an_address_that_the_server_does_not_take_yet_is_tried_again(start, post_office):
    post_office.refusals.append("450 greylisted")
    async with start(mail=post_office.settings()) as api:
        await api.sign_up()
        await has_status(api, "sent")


async def test_a_mail_is_abandoned_after_the_last_attempt_and_sent_when_asked_for(start, post_office):
    post_office.mischief += [answer("451 later")] * 3
    async with start(mail=post_office.settings(max_attempts=3)) as api:
        await api.sign_up()
        await has_status(api, "abandoned")
        assert post_office.mails == []

        assert await api.services[Outbox].retry(None) == 1
        await has_status(api, "sent")

    assert len(post_office.mails) == 1


async def test_a_server_that_is_away_is_waited_for(start, post_office):
    away = {"host": "127.0.0.1", "port": 1, "security": "none"}
    async with start(mail=post_office.settings(smtp=away)) as api:
        await api.sign_up()
        ((reason,),) = await api.until(
            lambda: api.rows("SELECT last_error FROM users_outbox WHERE attempts > 2 AND last_error IS NOT NULL")
        )
        assert reason.startswith("SMTPConnectError")

    async with start(mail=post_office.settings()):
        await post_office.has_taken(1)


async def test_a_link_never_goes_to_an_address_that_the_account_has_left(start, post_office, clock):
    post_office.mischief += [answer("451 later")]
    async with start(mail=post_office.settings(first_delay=60, longest_delay=60), clock=clock) as api:
        headers = await api.user("ada")
        await api.until(lambda: api.rows("SELECT 1 FROM users_outbox WHERE last_error IS NOT NULL"))
        changed = await api.put("/users/me", {"email": "new@example.com"}, headers=headers)
        assert changed.status_code == 200, changed.text
        clock.advance(60)
        await has_status(api, "sent", "sent")  # the welcome mail is not among them

    assert [mail["Subject"] for mail in post_office.to("ada")] == ["Your address was changed"]
    assert "new@example.com" in body(post_office.to("ada")[0])
    assert [mail["Subject"] for mail in post_office.to("new")] == ["Confirm your address"]


async def test_a_mail_with_a_link_for_a_deleted_account_is_dropped(start, post_office, clock):
    post_office.mischief += [answer("451 later")]
    async with start(mail=post_office.settings(first_delay=60, longest_delay=60), clock=clock) as api:
        await api.sign_up("ada")
        await api.until(lambda: api.rows("SELECT 1 FROM users_outbox WHERE last_error IS NOT NULL"))
        headers = await api.admin()
        assert (await api.delete(f"/users/{await api.id_of('ada')}", headers=headers)).status_code == 204
        clock.advance(60)

        await has_status(api)

    assert post_office.mails == []


async def test_no_secret_of_a_mail_is_in_the_log_or_the_outbox(start, post_office, clock, caplog):
    caplog.set_level(logging.DEBUG)
    quoted = []

    async def quote(_server):
        quoted.append(1)
        return f"554 spam: https://app.example.com/verify?token={'x' * 200}"

    post_office.mischief.append(quote)
    async with start(mail=post_office.settings(first_delay=60, longest_delay=60), clock=clock) as api:
        await api.sign_up()
        ((reason,),) = await api.until(lambda: api.rows("SELECT last_error FROM users_outbox WHERE last_error <> ''"))
        clock.advance(60)
        await has_status(api, "sent")

    token = token_in(post_office.mails[0])
    assert quoted
    assert reason == "SMTPDataError 554: spam: (...)"
    # What the test's own mail server logs does not count.
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "mail.log")
    assert "mail could not be sent" in logged
    assert token[:40] not in logged
    assert "xxxx" not in logged


async def test_a_stop_waits_for_a_mail_that_is_being_sent(start, post_office):
    under_way = asyncio.Event()

    async def take_time(_server):
        under_way.set()
        await asyncio.sleep(0.3)

    post_office.mischief.append(take_time)
    async with start(mail=post_office.settings()) as api:
        await api.sign_up()
        await under_way.wait()

    async with start(mail=post_office.settings()) as api:
        assert await statuses(api) == ["sent"]
    assert len(post_office.mails) == 1


async def test_sent_mails_are_forgotten_after_a_while_and_waiting_ones_never(start, post_office, clock):
    post_office.mischief.append(answer("451 later"))
    mail = post_office.settings(keep=100, first_delay=3_600, longest_delay=3_600)
    async with start(mail=mail, clock=clock) as api:
        await api.sign_up("ada")
        await api.until(lambda: api.rows("SELECT 1 FROM users_outbox WHERE last_error IS NOT NULL"))
        await api.sign_up("bob")
        await has_status(api, "queued", "sent")
        clock.advance(300)

        await api.services[Upkeep].run()

        assert await statuses(api) == ["queued"]


async def test_the_health_check_fails_when_mails_wait_for_too_long(start, post_office, clock):
    health = {"health": {"cache_ttl": 0.0}}
    settings = post_office.settings(first_delay=3_600, longest_delay=86_400, late_after=1_800)
    post_office.mischief.append(answer("451 later"))
    async with start(mail=settings, clock=clock, plugins=health, app={"debug": True}) as api:
        await api.sign_up()
        await api.until(lambda: api.rows("SELECT 1 FROM users_outbox WHERE last_error IS NOT NULL"))
        clock.advance(1_799)
        in_time = (await api.http.get("/health/detailed")).json()
        clock.advance(2)
        late = await api.http.get("/health/detailed")

    assert in_time["services"]["mail"]["status"] == "healthy", in_time
    assert late.status_code == 200
    assert late.json()["status"] == "degraded"
    assert "1801 s" in str(late.json()["services"]["mail"])
