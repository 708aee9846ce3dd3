"""What is told of accounts goes through the outbox where there is one: with the commit, and as surely as it."""

import sqlite3
from contextlib import contextmanager

import httpx2
import pytest
from sqlalchemy import Engine, event

from powerstrip_users.access import AccessChanges

# Ends the process the moment a transaction with an account in it is committed, and before anything else is done.
KILLED_BY_A_COMMIT = """
import os, signal
from sqlalchemy import event
from sqlalchemy.orm import Session

@event.listens_for(Session, "after_commit")
def die(session):
    if any(type(entry).__name__ == "User" for entry in session.identity_map.values()):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
async def api(start):
    """An application with the plugin that brings an outbox."""
    async with start(plugins={"realtime": True}) as running:
        yield running


async def test_a_change_is_announced_once_and_nothing_is_left(api):
    events = api.listen("user.*")

    await api.sign_up()

    user_id = await api.id_of("ada")
    await api.until(lambda: heard(events, 1))
    assert [(event.type, event.data) for event in events] == [("user.created", {"user_id": user_id})]
    await api.until(lambda: is_empty(api))
    assert len(events) == 1


async def test_what_is_refused_is_not_announced(api):
    events = api.listen("user.*")

    await api.sign_up("ada")
    assert (await api.sign_up("ada")).status_code == 400
    await api.sign_up("bob")

    await api.until(lambda: is_empty(api))
    names = ["ada", "bob"]
    assert [event.data["user_id"] for event in events] == [await api.id_of(name) for name in names]


async def test_a_session_that_is_ended_is_dead_at_once(api):
    user = await api.user()

    await api.post("/auth/logout", {}, headers=user)

    assert (await api.get("/users/me", headers=user)).status_code == 401


async def test_a_change_succeeds_though_what_has_changed_can_not_be_read_right_after_its_commit(start_on_sqlite):
    async with start_on_sqlite(plugins={"realtime": True}) as api:
        user = await api.user()

        with unreadable("users_access_changes"):
            answer = await api.post("/auth/logout", {}, headers=user)
        await api.services[AccessChanges].read()

        assert answer.status_code == 204
        assert (await api.get("/users/me", headers=user)).status_code == 401


async def test_a_bulk_update_is_announced_as_one_and_account_by_account(api):
    admin, ids = await api.admin(), await api.add(["user0", "user1"])
    await api.until(lambda: is_empty(api))
    events = api.listen("*")

    await api.post("/users/bulk-update", {"ids": ids, "update": {"full_name": "New"}}, headers=admin)

    await api.until(lambda: is_empty(api))
    told = sorted(event.type for event in events if event.type.startswith("user"))
    assert told == ["user.updated", "user.updated", "users.bulk_updated"]


def test_an_event_outlives_a_process_that_is_killed_right_after_the_commit(powerstrip_process, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(KILLED_BY_A_COMMIT)
    plugins = {
        "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/data.db"},
        "users": {
            "secret_key": "a key for tests that nobody else has",
            "passwords": {"memory_kib": 8, "iterations": 1, "threads": 1},
        },
        "realtime": True,
    }
    form = {"email": "ada@example.com", "username": "ada", "password": "correct horse battery"}
    sign_up = {**form, "confirm_password": form["password"], "terms_accepted": True}

    with powerstrip_process(plugins, environ={"PYTHONPATH": str(tmp_path)}) as served:
        with pytest.raises(httpx2.HTTPError):
            httpx2.post(f"{served.base_url}/api/v1/users/", json=sign_up, timeout=20)
        assert served.process.wait(20) == -9

    with sqlite3.connect(tmp_path / "data.db") as database:
        stored = database.execute("SELECT username, type FROM users, realtime_outbox").fetchall()
    assert stored == [("ada", "user.created")]


@contextmanager
def unreadable(table):
    """A database that refuses to read a table, and does all else."""

    def spoil(_connection, _cursor, sql, parameters, *_others):
        return ("SELECT nothing", ()) if sql.startswith(f"SELECT {table}.") else (sql, parameters)

    event.listen(Engine, "before_cursor_execute", spoil, retval=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", spoil)


async def heard(events, count):
    return len(events) >= count


async def is_empty(api):
    return await api.rows("SELECT count(*) FROM realtime_outbox") == [(0,)]
