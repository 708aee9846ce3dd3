"""PostgreSQL goes away and comes back; the application stays."""

import logging
import socket
from itertools import count

import anyio
import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient

from powerstrip import StartError
from powerstrip_database import Database, DatabaseUnavailable
from powerstrip_database.errors import Cause

SETTINGS = {"retry_after": 7}
HEALTH = {"health": {"cache_ttl": 0}}


@pytest.fixture
def client(compose_on, postgresql_url):
    app = compose_on(postgresql_url, SETTINGS, plugins=HEALTH)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def outage(postgresql_server):
    """Stops the server, and has it running again after the test, whatever happens."""

    class Outage:
        begin = postgresql_server.stop
        end = postgresql_server.start

    yield Outage
    postgresql_server.start()


def test_while_the_server_is_away_requests_get_503_and_when_to_come_back(client, outage):
    assert client.get("/notes/count").status_code == 200
    outage.begin()

    for answer in (client.get("/notes/count"), client.post("/notes", params={"title": "one"})):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "7"
        assert answer.json()["error"]["type"] == "DatabaseUnavailable"
        assert answer.json()["error"]["retry_after"] == 7


def test_all_recovers_without_a_restart(client, outage):
    client.post("/notes", params={"title": "before"})
    outage.begin()
    client.post("/notes", params={"title": "during"})
    outage.end()

    assert client.post("/notes", params={"title": "after"}).status_code == 201
    assert client.get("/notes/count").json() == 2


async def test_under_load_an_outage_loses_no_answered_write_and_costs_nothing_but_503(
    compose_on, postgresql_url, outage
):
    app = compose_on(postgresql_url, SETTINGS)
    statuses = {}
    is_away = anyio.Event()

    async def write(client, writer):
        for number in count():
            title = f"{writer}-{number}"
            statuses[title] = (await client.post("/notes", params={"title": title})).status_code
            if statuses[title] == 503:
                is_away.set()
            elif is_away.is_set():
                return  # it is back
            await anyio.sleep(0.005)

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as writers:
                for writer in range(10):
                    writers.start_soon(write, client, writer)
                await anyio.sleep(0.2)
                await anyio.to_thread.run_sync(outage.begin)
                await is_away.wait()
                await anyio.to_thread.run_sync(outage.end)
        found = set((await client.get("/notes/titles")).json())

    assert set(statuses.values()) == {201, 503}
    assert {title for title, status in statuses.items() if status == 201} <= found


def test_readiness_follows_the_server(client, outage):
    states = [client.get("/health/ready").status_code]
    outage.begin()
    states.append(client.get("/health/ready").status_code)
    outage.end()
    states.append(client.get("/health/ready").status_code)

    assert states == [200, 503, 200]


def test_a_restart_between_two_requests_goes_unnoticed(client, outage):
    client.post("/notes", params={"title": "before"})
    outage.begin()
    outage.end()

    assert client.get("/notes/count").json() == 1
    assert client.post("/notes", params={"title": "after"}).status_code == 201


def test_an_outage_is_logged_once_at_each_end(client, outage, caplog):
    caplog.set_level(logging.INFO, logger="powerstrip_database")
    outage.begin()
    for _ in range(5):
        client.get("/notes/count")
    outage.end()
    for _ in range(5):
        client.get("/notes/count")

    lines = [record.message for record in caplog.records if record.name.startswith("powerstrip_database")]
    assert lines == ["the database is not available", "the database is back"]


async def terminate(database, session):
    """Let the server close a session's connection."""
    pid = await session.scalar(text("SELECT pg_backend_pid()"))
    async with database.engine.connect() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


async def test_work_whose_connection_was_lost_is_done_again(running_on, postgresql_url, notes):
    runs = []
    async with running_on(postgresql_url) as services:
        database = services[Database]

        async def work(session):
            runs.append(session)
            session.add(notes.Note(title="one"))
            await session.flush()
            if len(runs) == 1:
                await terminate(database, session)
            await session.execute(text("SELECT 1"))

        await database.retrying(work)
        async with database.reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM notes")) == 1
    assert len(runs) == 2


async def test_a_connection_lost_while_committing_leaves_doubt_and_is_not_tried_again(
    running_on, postgresql_url, notes
):
    runs = []
    async with running_on(postgresql_url) as services:
        database = services[Database]

        async def work(session):
            runs.append(session)
            session.add(notes.Note(title="one"))
            await session.flush()
            await terminate(database, session)

        with pytest.raises(DatabaseUnavailable) as failure:
            await database.retrying(work)
    assert len(runs) == 1
    assert failure.value.cause is Cause.IN_DOUBT


async def test_a_migration_by_a_newer_version_meanwhile_disturbs_nobody(running_on, postgresql_url, notes):
    async def titles(session):
        return (await session.scalars(text("SELECT title FROM notes"))).all()

    async with running_on(postgresql_url, {"pool_size": 1, "max_overflow": 0}) as services:
        database = services[Database]
        await database.retrying(titles)
        newer = create_async_engine(postgresql_url)
        async with newer.begin() as connection:
            await connection.execute(text("ALTER TABLE notes ALTER COLUMN title TYPE varchar(200)"))
        await newer.dispose()

        assert await database.retrying(titles) == []


async def test_a_server_that_is_away_at_the_start_is_named_without_its_password(compose_on):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        app = compose_on(f"postgresql+asyncpg://ann:hunter2@127.0.0.1:{port}/shop")
        with pytest.raises(StartError) as failure:
            async with app.router.lifespan_context(app):
                pass

    message = str(failure.value)
    assert f"ann:***@127.0.0.1:{port}/shop" in message
    assert "ConnectionRefusedError" in message
    assert "hunter2" not in message


async def test_a_server_that_accepts_and_never_answers_is_given_up(compose_on):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = compose_on(f"postgresql+asyncpg://ann:hunter2@127.0.0.1:{port}/shop", {"connect_timeout": 0.2})
        with pytest.raises(StartError, match="TimeoutError"):
            async with app.router.lifespan_context(app):
                pass


async def test_a_file_that_is_no_database_is_named(compose_on, tmp_path):
    (tmp_path / "notes.txt").write_text("Dear diary, ...\n" * 100)
    app = compose_on(f"sqlite:///{tmp_path}/notes.txt")

    with pytest.raises(StartError, match=r"can't open .*/notes\.txt: DatabaseError: file is not a database"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_plugin_that_may_be_skipped_is_and_its_routes_answer_503(compose_on, postgresql_url, outage):
    outage.begin()
    plugins = {"notes": {"on_failure": "skip"}}
    app = compose_on(postgresql_url, {"on_failure": "skip"}, plugins=plugins)
    with TestClient(app) as client:
        answer = client.get("/notes/count")

    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "PluginUnavailable"
