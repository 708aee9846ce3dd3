"""Requests that wait for each other's locks, one step after the other: on PostgreSQL, where several write at a time."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import Engine, event, text

from powerstrip_database import Database
from powerstrip_users.upkeep import Upkeep

pytestmark = pytest.mark.parametrize("start_shared", ["postgresql"], indirect=True)


@asynccontextmanager
async def locking(api, *statements):
    """A transaction that ends when the context is left, with what it has locked."""
    async with api.services[Database].transaction() as session:
        for statement in statements:
            await session.execute(text(statement))
        yield


async def begun(api, request, waiting):
    """The request as a task, when so many transactions wait for locks."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def is_waiting():
        return await api.rows(query) == [(waiting,)]

    task = asyncio.create_task(request)
    await api.until(is_waiting)
    return task


@contextmanager
def refused_statements():
    """Why PostgreSQL refuses statements, from now on: those of transactions that are tried again too."""
    found = []

    def note(context):
        found.append(str(context.original_exception))

    event.listen(Engine, "handle_error", note)
    try:
        yield found
    finally:
        event.remove(Engine, "handle_error", note)


async def test_what_may_take_an_admin_away_locks_in_the_order_of_everything_else(api):
    """Or a deadlock would end one of them: PostgreSQL looks for those once a second, and under load one request could
    be the victim each time it is tried."""
    user_id = (await api.sign_up()).json()["id"]
    root = await api.admin()
    root_id = await api.id_of("root")
    both = {"ids": [user_id, root_id], "update": {"full_name": "New"}}

    with refused_statements() as refused:
        async with locking(api, "SELECT id FROM users WHERE role = 'admin' FOR UPDATE"):
            one = await begun(api, api.patch(f"/users/{user_id}", {"role": "moderator"}, headers=root), 1)
            other = await begun(api, api.post("/users/bulk-update", both, headers=root), 2)
        answers = await asyncio.gather(one, other)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not refused


async def test_who_was_the_only_admin_when_the_locks_were_free_is_not_demoted(api):
    """Though another one was, when the request began to wait for them."""
    user_id = (await api.sign_up()).json()["id"]
    root = await api.admin()
    handing_over = (
        "UPDATE users SET role = 'admin' WHERE username = 'ada'",
        "UPDATE users SET role = 'user' WHERE username = 'root'",
    )

    async with locking(api, *handing_over):
        demotion = await begun(api, api.patch(f"/users/{user_id}", {"role": "user"}, headers=root), 1)

    assert (await demotion).json()["error"]["type"] == "LastAdmin"
    assert await api.rows("SELECT username FROM users WHERE role = 'admin'") == [("ada",)]


async def test_what_has_expired_and_is_locked_goes_the_next_time(api):
    """Sign-ins lock several rows of failures, in an order that the removal of old ones knows nothing of."""
    for name in ("ada", "bob"):
        await api.token(name, "wrong")
    await api.execute("UPDATE users_attempts SET last_at = '2020-01-01', locked_until = NULL")
    left = "SELECT count(*) FROM users_attempts"

    async with locking(api, "SELECT key FROM users_attempts ORDER BY key LIMIT 1 FOR UPDATE"):
        await api.services[Upkeep].run()
        kept = await api.rows(left)
    await api.services[Upkeep].run()

    assert (kept, await api.rows(left)) == ([(1,)], [(0,)])


async def test_who_is_signing_in_while_all_other_sessions_are_ended_is_signed_out_too(api):
    mine = await api.user()
    columns = "user_id, created_at, last_used_at, expires_at, refresh_hash, client_address, user_agent"
    signing_in = (
        "SELECT id FROM users FOR UPDATE",
        f"INSERT INTO users_sessions (id, {columns}) SELECT gen_random_uuid(), {columns} FROM users_sessions",
    )

    async with locking(api, *signing_in):
        ended = await begun(api, api.delete("/auth/sessions", headers=mine), 1)

    assert (await ended).status_code == 204
    assert [entry["current"] for entry in (await api.get("/auth/sessions", headers=mine)).json()] == [True]
