"""What WriteSession and ReadSession promise to path operations."""

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from powerstrip_database import Database


def count(client):
    return client.get("/notes/count").json()


async def rows(url):
    """The number of notes that a stranger to the application sees."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.scalar(text("SELECT count(*) FROM notes"))
    await engine.dispose()
    return found


async def request(app, method, path, on_head):
    """Send a request, and call `on_head` the moment the response's head leaves."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver")],
        "client": ("192.0.2.1", 1234),
        "server": ("testserver", 80),
        "state": {},
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            await on_head(message["status"])

    await app(scope, receive, send)


async def test_a_client_that_sees_201_finds_the_row_from_anywhere(compose, database_url):
    app = compose()
    seen = []

    async def look(status):
        seen.append((status, await rows(database_url)))

    async with app.router.lifespan_context(app):
        await request(app, "POST", "/notes?title=one", look)

    assert seen == [(201, 1)]


def test_a_failed_commit_is_an_error_answer(start):
    client = start()
    client.post("/notes", params={"title": "one"})

    assert client.post("/notes/late", params={"title": "one"}).status_code == 500
    assert count(client) == 1


@pytest.mark.parametrize(("path", "status"), [("/notes/refused", 409), ("/notes/broken", 500)])
def test_an_exception_rolls_back(start, path, status):
    client = start()

    assert client.post(path, params={"title": "one"}).status_code == status
    assert count(client) == 0
    assert client.post("/notes", params={"title": "one"}).status_code == 201


def test_a_read_session_cannot_write(start):
    client = start()

    assert client.post("/notes/through-a-reader", params={"title": "one"}).status_code == 500
    assert count(client) == 0


async def test_what_is_returned_can_be_read_after_the_commit(database, notes):
    async with database.transaction() as session:
        note = notes.Note(title="one")
        session.add(note)

    assert note.title == "one"
    assert note.id is not None


async def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(database, notes):
    question = text("SELECT count(*) FROM notes")
    async with database.reading() as reader:
        before = await reader.scalar(question)
        async with database.transaction() as writer:
            writer.add(notes.Note(title="one"))
        during = await reader.scalar(question)
    async with database.reading() as reader:
        after = await reader.scalar(question)

    assert (before, during, after) == (0, 0, 1)


async def test_others_see_a_change_after_the_commit_and_not_before(database, notes):
    question = text("SELECT count(*) FROM notes")
    async with database.transaction() as writer:
        writer.add(notes.Note(title="one"))
        await writer.flush()
        async with database.reading() as reader:
            assert await reader.scalar(question) == 0


async def test_a_transaction_that_writes_nothing_yet_keeps_nobody_waiting(database, notes):
    with anyio.fail_after(2):
        async with database.transaction(), database.transaction() as session:
            session.add(notes.Note(title="one"))


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_usable(running, notes):
    async with running({"pool_size": 1, "max_overflow": 0}) as services:
        database = services[Database]
        with anyio.move_on_after(0.1):
            async with database.transaction() as session:
                session.add(notes.Note(title="one"))
                await session.flush()
                await anyio.sleep_forever()
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT count(*) FROM notes")) == 0
