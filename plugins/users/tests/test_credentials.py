"""Passwords that are changed or forgotten, addresses that are confirmed."""

import pytest

NEW = "another long password"


async def mails(api):
    return await api.rows("SELECT template, recipient, link FROM users_outbox ORDER BY created_at, id")


async def test_a_changed_password_replaces_the_old_one_and_keeps_this_session_only(api):
    other = await api.user()
    mine = await api.sign_in()
    body = {"current_password": api.password, "new_password": NEW}

    assert (await api.post("/auth/change-password", body, headers=mine)).status_code == 204
    assert (await api.get("/users/me", headers=mine)).status_code == 200
    assert (await api.get("/users/me", headers=other)).status_code == 401
    assert [(await api.token("ada", password)).status_code for password in (api.password, NEW)] == [401, 200]
    assert ("password-changed", "ada@example.com", None) in await mails(api)


async def test_the_audit_log_tells_of_a_new_password_and_not_which(api):
    mine = await api.user()
    await api.post("/auth/change-password", {"current_password": api.password, "new_password": NEW}, headers=mine)

    ((changes,),) = await api.rows("SELECT changes FROM users_audit WHERE action = 'user.password_changed'")
    assert "redacted" in str(changes)
    assert NEW not in str(changes)
    assert "argon2" not in str(changes)


@pytest.mark.parametrize(
    ("current", "new", "status", "kind"),
    [
        ("wrong", NEW, 400, "CurrentPasswordWrong"),
        (None, "short12", 422, "ValidationError"),
        (None, "password1", 422, "PasswordNotAllowed"),
        (None, "ada@example.com", 422, "PasswordNotAllowed"),
    ],
)
async def test_a_password_is_not_changed_by_guesses_or_to_one(api_on_sqlite, current, new, status, kind):
    mine = await api_on_sqlite.user()
    body = {"current_password": current or api_on_sqlite.password, "new_password": new}

    answer = await api_on_sqlite.post("/auth/change-password", body, headers=mine)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert new not in answer.text
    assert (await api_on_sqlite.token("ada")).status_code == 200


async def test_a_stolen_token_can_not_be_used_to_guess_the_password(start, clock):
    async with start(clock=clock, sign_in={"account_failures": 3}) as api:
        mine = await api.user()
        for _ in range(3):
            await api.post("/auth/change-password", {"current_password": "wrong", "new_password": NEW}, headers=mine)

        body = {"current_password": api.password, "new_password": NEW}
        locked = await api.post("/auth/change-password", body, headers=mine)
        clock.advance(1)

        assert locked.status_code == 400
        assert (await api.post("/auth/change-password", body, headers=mine)).status_code == 204


async def test_a_forgotten_password_is_replaced_with_the_token_of_a_mail(api):
    mine = await api.user()
    asked = await api.post("/auth/forgot-password", {"email": "ADA@example.com"})
    token = await api.link("reset", "ada")

    answer = await api.post("/auth/reset-password", {"token": token, "new_password": NEW})

    assert (asked.status_code, asked.content) == (202, b"")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (204, "no-store")
    assert ("reset-password", "ada@example.com", "reset") in await mails(api)
    assert (await api.get("/users/me", headers=mine)).status_code == 401
    assert [(await api.token("ada", password)).status_code for password in (api.password, NEW)] == [401, 200]
    assert (await api.get("/users/me", headers=await api.sign_in("ada", NEW))).json()["is_verified"] is True


async def test_a_reset_token_works_once_and_dies_with_the_password_it_was_made_for(api):
    mine = await api.user()
    first, second = await api.link("reset", "ada"), await api.link("reset", "ada")
    await api.post("/auth/reset-password", {"token": first, "new_password": NEW})

    for token in (first, second):
        answer = await api.post("/auth/reset-password", {"token": token, "new_password": "a third password"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "LinkNotValid")
    assert (await api.get("/users/me", headers=mine)).status_code == 401


async def test_a_reset_token_dies_with_the_address_it_was_sent_to(api):
    mine = await api.user()
    token = await api.link("reset", "ada")
    await api.put("/users/me", {"email": "new@example.com"}, headers=mine)

    assert (await api.post("/auth/reset-password", {"token": token, "new_password": NEW})).status_code == 400


async def test_links_expire(start, clock):
    async with start(clock=clock, links={"reset_lifetime": 60, "verify_lifetime": 60}) as api:
        await api.sign_up()
        reset, verify = await api.link("reset", "ada"), await api.link("verify", "ada")
        clock.advance(60)

        assert (await api.post("/auth/reset-password", {"token": reset, "new_password": NEW})).status_code == 400
        assert (await api.post("/auth/verify-email", {"token": verify})).status_code == 400


@pytest.mark.parametrize("purpose", ["verify", "access"])
async def test_no_other_token_resets_a_password(api_on_sqlite, purpose):
    mine = await api_on_sqlite.user()
    access = mine["Authorization"].removeprefix("Bearer ")
    token = access if purpose == "access" else await api_on_sqlite.link("verify", "ada")

    answer = await api_on_sqlite.post("/auth/reset-password", {"token": token, "new_password": NEW})

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "LinkNotValid")


async def test_whether_an_address_has_an_account_shows_in_its_mailbox_only(api):
    await api.sign_up()
    await api.sign_up("off")
    await api.execute("UPDATE users SET status = 'suspended' WHERE username = 'off'")
    addresses = ("ada@example.com", "off@example.com", "nobody@example.com")

    answers = [await api.post("/auth/forgot-password", {"email": address}) for address in addresses]

    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    assert (await mails(api))[2:] == [
        ("reset-password", "ada@example.com", "reset"),
        ("reset-password-unknown", "off@example.com", None),
        ("reset-password-unknown", "nobody@example.com", None),
    ]


async def test_nobodys_mailbox_is_flooded(start, clock):
    async with start(clock=clock) as api:
        await api.sign_up()
        for address in ("ada@example.com", "nobody@example.com"):
            for _ in range(5):
                assert (await api.post("/auth/forgot-password", {"email": address})).status_code == 202
        before = len(await mails(api))
        clock.advance(3600)
        await api.post("/auth/forgot-password", {"email": "ada@example.com"})

        assert before == 1 + 3 + 3
        assert len(await mails(api)) == before + 1


async def test_a_new_password_opens_a_locked_account(start, clock):
    async with start(clock=clock, sign_in={"account_failures": 1, "longest_lock": 600}) as api:
        await api.sign_up()
        for name in ("ada", "ada@example.com"):
            await api.token(name, "wrong password")

        await api.post("/auth/reset-password", {"token": await api.link("reset", "ada"), "new_password": NEW})

        assert [(await api.token(name, NEW)).status_code for name in ("ada", "ada@example.com")] == [200, 200]


async def test_an_address_is_confirmed_once(api):
    mine = await api.user()
    token = await api.link("verify", "ada")

    answers = [await api.post("/auth/verify-email", {"token": token}) for _ in range(2)]

    profile = (await api.get("/users/me", headers=mine)).json()
    assert [answer.status_code for answer in answers] == [204, 204]
    assert profile["is_verified"] is True
    assert len(await api.rows("SELECT 1 FROM users_audit WHERE action = 'user.verified'")) == 1


async def test_a_link_for_the_old_address_does_not_confirm_the_new_one(api):
    mine = await api.user()
    token = await api.link("verify", "ada")
    await api.put("/users/me", {"email": "new@example.com"}, headers=mine)

    assert (await api.post("/auth/verify-email", {"token": token})).status_code == 400
    assert (await api.get("/users/me", headers=mine)).json()["is_verified"] is False


async def test_a_suspended_account_is_not_brought_back_by_a_link(api):
    await api.sign_up()
    await api.execute("UPDATE users SET status = 'suspended'")

    for path, purpose, body in (("verify-email", "verify", {}), ("reset-password", "reset", {"new_password": NEW})):
        answer = await api.post(f"/auth/{path}", {"token": await api.link(purpose, "ada"), **body})
        assert answer.status_code == 400


async def test_another_link_is_sent_on_request_until_the_address_is_confirmed(api):
    mine = await api.user()

    for _ in range(5):
        assert (await api.post("/auth/resend-verification", headers=mine)).status_code == 202
    sent = (await mails(api)).count(("verify-email", "ada@example.com", "verify"))
    await api.post("/auth/verify-email", {"token": await api.link("verify", "ada")})
    await api.post("/auth/resend-verification", headers=mine)

    assert sent == 3
    assert (await mails(api)).count(("verify-email", "ada@example.com", "verify")) == 3
