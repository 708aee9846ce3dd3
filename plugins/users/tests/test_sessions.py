"""Sessions: refreshed, copied, listed, ended."""

import asyncio
from collections import Counter

import pytest


@pytest.fixture
async def pair(api):
    await api.sign_up()
    return (await api.token("ada")).json()


async def refresh(api, token):
    return await api.post("/auth/refresh", {"refresh_token": token})


async def test_a_refresh_gives_new_tokens_that_work(api, pair):
    answer = await refresh(api, pair["refresh_token"])

    fresh = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert fresh["refresh_token"] != pair["refresh_token"]
    assert (await api.get("/users/me", headers=api.bearer(fresh["access_token"]))).status_code == 200
    assert (await refresh(api, fresh["refresh_token"])).status_code == 200


async def test_no_refresh_token_is_stored_as_it_is(api, pair):
    ((stored,),) = await api.rows("SELECT refresh_hash FROM users_sessions")

    assert len(stored) == 32
    assert stored.hex() not in pair["refresh_token"]


async def test_fifty_refreshes_of_one_token_at_once_give_one_successor(api, pair):
    answers = await asyncio.gather(*(refresh(api, pair["refresh_token"]) for _ in range(50)))

    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert await api.rows("SELECT count(*) FROM users_sessions") == [(1,)]


async def test_a_used_token_is_good_for_a_moment_and_then_ends_its_session(start, clock):
    async with start(clock=clock, tokens={"refresh_grace": 10}) as api:
        await api.sign_up()
        first = (await api.token("ada")).json()
        second = (await refresh(api, first["refresh_token"])).json()
        clock.advance(10)
        again = await refresh(api, first["refresh_token"])
        clock.advance(1)
        revoked = api.listen("session.*")

        stolen = await refresh(api, first["refresh_token"])

        assert again.json()["refresh_token"] == second["refresh_token"]
        assert (stolen.status_code, stolen.json()["error"]["type"]) == (401, "InvalidRefreshToken")
        assert [event.type for event in revoked] == ["session.revoked"]
        assert (await refresh(api, second["refresh_token"])).status_code == 401
        assert (await api.get("/users/me", headers=api.bearer(second["access_token"]))).status_code == 401
        assert ("session.refresh_token_reused",) in await api.rows("SELECT action FROM users_audit")


async def test_the_theft_of_one_session_leaves_the_others_alone(start, clock):
    async with start(clock=clock) as api:
        await api.sign_up()
        stolen, other = (await api.token("ada")).json(), (await api.token("ada")).json()
        await refresh(api, stolen["refresh_token"])
        clock.advance(11)
        await refresh(api, stolen["refresh_token"])

        assert (await refresh(api, other["refresh_token"])).status_code == 200


async def test_a_token_that_was_never_issued_ends_nothing(api, pair):
    token = pair["refresh_token"]
    made_up = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]

    assert (await refresh(api, made_up)).status_code == 401
    assert (await refresh(api, token)).status_code == 200


@pytest.mark.parametrize(("settings", "wait"), [({"session_idle": 60}, 60), ({"session_lifetime": 90}, 60)])
async def test_a_session_ends_when_it_is_not_used_or_too_old(start, clock, settings, wait):
    async with start(clock=clock, tokens=settings) as api:
        await api.sign_up()
        token = (await api.token("ada")).json()["refresh_token"]
        clock.advance(50)
        alive = await refresh(api, token)
        clock.advance(wait)

        assert alive.status_code == 200
        assert (await refresh(api, alive.json()["refresh_token"])).status_code == 401


async def test_the_sessions_are_listed_with_where_they_are_used(api):
    await api.sign_up()
    await api.token("ada", headers={"User-Agent": "phone\x07" + "x" * 300})
    mine = await api.sign_in()

    answer = await api.get("/auth/sessions", headers=mine)

    assert answer.headers["Cache-Control"] == "no-store"
    here, there = answer.json()
    assert (here["current"], there["current"]) == (True, False)
    assert (there["client_address"], there["user_agent"]) == ("192.0.2.1", ("phone" + "x" * 300)[:200])
    assert "refresh" not in answer.text


async def test_one_of_the_own_sessions_can_be_ended(api):
    other = await api.user()
    mine = await api.sign_in()
    listed = (await api.get("/auth/sessions", headers=mine)).json()
    (there,) = [entry["id"] for entry in listed if not entry["current"]]

    answer = await api.delete(f"/auth/sessions/{there}", headers=mine)

    assert answer.status_code == 204
    assert (await api.get("/users/me", headers=other)).status_code == 401
    assert (await api.get("/users/me", headers=mine)).status_code == 200
    assert (await api.delete(f"/auth/sessions/{there}", headers=mine)).status_code == 404


async def test_the_session_of_somebody_else_is_not_found(api):
    victim, stranger = await api.user("victim"), await api.user("stranger")
    (theirs,) = (await api.get("/auth/sessions", headers=victim)).json()

    assert (await api.delete(f"/auth/sessions/{theirs['id']}", headers=stranger)).status_code == 404
    assert (await api.get("/users/me", headers=victim)).status_code == 200


async def test_all_other_sessions_can_be_ended(api):
    others = [await api.user(), await api.sign_in()]
    mine = await api.sign_in()

    assert (await api.delete("/auth/sessions", headers=mine)).status_code == 204
    assert [(await api.get("/users/me", headers=headers)).status_code for headers in (*others, mine)] == [401, 401, 200]


async def test_nobody_hears_of_sessions_that_ended_where_none_did(api):
    mine = await api.user()
    revoked = api.listen("session.*")

    ended = await api.delete("/auth/sessions", headers=mine)
    change = {"current_password": api.password, "new_password": "another horse battery"}
    changed = await api.post("/auth/change-password", change, headers=mine)

    assert (ended.status_code, changed.status_code) == (204, 204)
    assert revoked == []
    assert await api.rows("SELECT action FROM users_audit WHERE action LIKE 'session.%'") == []


async def test_signing_out_ends_this_session_only(api):
    other = await api.user()
    pair = (await api.token("ada")).json()
    mine = api.bearer(pair["access_token"])

    assert (await api.post("/auth/logout", headers=mine)).status_code == 204
    assert (await api.get("/users/me", headers=mine)).status_code == 401
    assert (await refresh(api, pair["refresh_token"])).status_code == 401
    assert (await api.get("/users/me", headers=other)).status_code == 200


async def test_signing_out_everywhere_ends_every_session(api):
    other = await api.user()
    mine = await api.sign_in()

    assert (await api.post("/auth/logout", {"all_sessions": True}, headers=mine)).status_code == 204
    assert [(await api.get("/users/me", headers=headers)).status_code for headers in (mine, other)] == [401, 401]
    assert (await api.token("ada")).status_code == 200


async def test_the_oldest_session_ends_when_there_are_too_many(start, clock):
    async with start(clock=clock, tokens={"max_sessions": 2}) as api:
        await api.sign_up()
        pairs = []
        for _ in range(3):
            clock.advance(1)
            pairs.append((await api.token("ada")).json())

        statuses = [(await refresh(api, pair["refresh_token"])).status_code for pair in pairs]

    assert statuses == [401, 200, 200]


@pytest.mark.parametrize("change", [{"status": "suspended"}, {"status": "inactive"}, {"role": "moderator"}])
async def test_a_token_dies_at_once_when_an_admin_changes_what_its_user_may_do(api, change):
    admin, user = await api.admin(), await api.user()

    await api.patch(f"/users/{await api.id_of('ada')}", change, headers=admin)

    refused = await api.get("/users/me", headers=user)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


async def test_a_refresh_after_a_change_of_role_gives_the_new_role(api):
    admin = await api.admin()
    await api.sign_up()
    pair = (await api.token("ada")).json()
    await api.patch(f"/users/{await api.id_of('ada')}", {"role": "admin"}, headers=admin)

    fresh = (await refresh(api, pair["refresh_token"])).json()

    assert (await api.get("/users/", headers=api.bearer(fresh["access_token"]))).status_code == 200


async def test_a_suspended_user_can_neither_refresh_nor_sign_in_again(api):
    admin = await api.admin()
    await api.sign_up()
    pair = (await api.token("ada")).json()
    user_id = await api.id_of("ada")
    await api.patch(f"/users/{user_id}", {"status": "suspended"}, headers=admin)

    assert (await refresh(api, pair["refresh_token"])).status_code == 401
    assert (await api.token("ada")).status_code == 401
    await api.patch(f"/users/{user_id}", {"status": "active"}, headers=admin)
    assert (await refresh(api, pair["refresh_token"])).status_code == 401
    assert (await api.token("ada")).status_code == 200


async def test_a_deleted_users_token_is_dead_at_once(api):
    admin, user = await api.admin(), await api.user()

    await api.delete(f"/users/{await api.id_of('ada')}", headers=admin)

    assert (await api.get("/users/me", headers=user)).status_code == 401


async def test_another_process_hears_of_it_within_its_interval(start):
    """Two applications on one database: what one revokes, the other refuses as soon as it reads what has changed."""
    async with start(tokens={"revocation_interval": 0.1}) as here, start(tokens={"revocation_interval": 0.1}) as there:
        user = await here.user()
        assert (await there.get("/users/me/permissions", headers=user)).status_code == 200
        await here.post("/auth/logout", headers=user)
        for _ in range(100):
            answer = await there.get("/users/me/permissions", headers=user)
            if answer.status_code != 200:
                break
            await asyncio.sleep(0.02)

    assert answer.status_code == 401


async def test_a_token_that_was_issued_after_the_change_is_fine(start):
    async with start() as here, start() as there:
        admin = await here.admin()
        await here.sign_up()
        await here.patch(f"/users/{await here.id_of('ada')}", {"role": "moderator"}, headers=admin)
        await there.read_access_changes()

        fresh = await here.sign_in()

        assert (await there.get("/users/me/permissions", headers=fresh)).json()["roles"] == ["moderator"]


async def test_no_request_asks_the_database_who_its_sender_is(api):
    user = await api.user()

    with api.noting_statements() as statements:
        answer = await api.get("/users/me/permissions", headers=user)
    with api.noting_statements() as profile:
        await api.get("/users/me", headers=user)

    assert answer.status_code == 200
    assert statements == []
    assert any("users" in sql for sql in profile)


async def test_tokens_are_not_believed_when_revocations_cannot_be_read_for_long(start, clock):
    async with start(clock=clock) as api:
        user = await api.user()
        clock.advance(31)
        fine = await api.get("/users/me/permissions", headers=user)
        clock.advance(2)
        unknown = await api.get("/users/me/permissions", headers=user)
        stranger = await api.token("ada")
        await api.read_access_changes()

        assert (fine.status_code, unknown.status_code, stranger.status_code) == (200, 503, 200)
        assert unknown.json()["error"]["type"] == "SessionsUnknown"
        assert "Retry-After" in unknown.headers
        assert (await api.get("/users/me/permissions", headers=user)).status_code == 200


async def test_what_was_revoked_before_a_restart_stays_revoked_after_it(start):
    async with start() as api:
        user = await api.user()
        await api.post("/auth/logout", headers=user)
    async with start() as api:
        assert (await api.get("/users/me", headers=user)).status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "bearer \xe9", "Bearer " + "a" * 5000])
async def test_a_header_that_holds_no_token_is_refused_where_one_is_needed(api_on_sqlite, header):
    headers = {"Authorization": header.encode("latin-1")}

    assert (await api_on_sqlite.get("/users/me", headers=headers)).status_code == 401
    assert (await api_on_sqlite.http.get("/openapi.json", headers=headers)).status_code == 200


async def test_a_stranger_is_told_to_sign_in_without_an_error_code(api_on_sqlite):
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = await api_on_sqlite.get("/users/me", headers=headers)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


async def test_a_token_in_the_address_is_not_looked_at(api_on_sqlite):
    token = (await api_on_sqlite.user())["Authorization"].removeprefix("Bearer ")

    assert (await api_on_sqlite.get(f"/users/me?access_token={token}")).status_code == 401
