"""Many at once: writers queue, readers don't, collisions are tried again, and nobody waits for ever."""

import asyncio
import sqlite3
import sys
from contextlib import asynccontextmanager, closing

import anyio
import httpx2
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from powerstrip_database import Database, DatabaseUnavailable, constraint_of
from powerstrip_database.errors import Cause

COUNT = text("SELECT count(*) FROM notes")


@asynccontextmanager
async def stranger(url):
    """A connection of another program to the same file."""
    with closing(sqlite3.connect(url.partition("///")[2], isolation_level=None)) as connection:
        yield connection


async def test_fifty_writing_requests_at_once_all_succeed(compose):
    app = compose()
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        answers = await asyncio.gather(*(client.post("/notes", params={"title": str(n)}) for n in range(50)))
        found = (await client.get("/notes/count")).json()

    assert [answer.status_code for answer in answers] == [201] * 50
    assert found == 50


async def test_of_fifty_that_want_the_same_one_gets_it_and_the_others_know_why(database, notes):
    async def write():
        try:
            async with database.transaction() as session:
                session.add(notes.Note(title="one"))
        except IntegrityError as error:
            return constraint_of(error)
        return "written"

    outcomes = await asyncio.gather(*(write() for _ in range(50)))

    assert sorted(outcomes) == ["uq_notes_title"] * 49 + ["written"]


async def test_changes_made_at_once_are_all_kept(database, notes):
    async with database.transaction() as session:
        session.add(notes.Note(title="one"))

    async def praise(session):
        note = await session.scalar(select(notes.Note).with_for_update())
        note.stars += 1

    await asyncio.gather(*(database.retrying(praise) for _ in range(20)))

    async with database.reading() as session:
        assert await session.scalar(select(notes.Note.stars)) == 20


async def test_two_transactions_that_lock_each_other_out_both_succeed(database, notes):
    async with database.transaction() as session:
        session.add_all([notes.Note(title="one"), notes.Note(title="two")])

    both_hold_a_row = anyio.Event()
    holders = set()

    def locking(first, second):
        async def work(session):
            await session.execute(update(notes.Note).where(notes.Note.title == first).values(stars=1))
            holders.add(first)
            if len(holders) == 2:
                both_hold_a_row.set()
            with anyio.move_on_after(0.2):  # SQLite lets only one in
                await both_hold_a_row.wait()
            await session.execute(update(notes.Note).where(notes.Note.title == second).values(stars=1))
            return first

        return work

    done = await asyncio.gather(*(database.retrying(locking(*order)) for order in (("one", "two"), ("two", "one"))))

    assert done == ["one", "two"]


async def test_what_the_work_itself_raises_is_not_tried_again(database):
    runs = []

    async def work(session):
        runs.append(session)
        raise LookupError

    with pytest.raises(LookupError):
        await database.retrying(work)
    assert len(runs) == 1


async def test_readers_do_not_wait_for_a_writer(database, notes):
    async with database.transaction() as writer:
        writer.add(notes.Note(title="one"))
        await writer.flush()

        async def read():
            async with database.reading() as reader:
                return await reader.scalar(COUNT)

        with anyio.fail_after(3):
            assert await asyncio.gather(*(read() for _ in range(30))) == [0] * 30


async def test_who_waits_too_long_for_a_connection_gets_503(compose, running):
    async with running({"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}) as services:
        database = services[Database]
        async with database.transaction() as holder:
            await holder.execute(COUNT)
            with pytest.raises(DatabaseUnavailable) as failure:
                async with database.transaction() as session:
                    await session.execute(COUNT)
        async with database.transaction() as session:
            assert await session.scalar(COUNT) == 0

    assert failure.value.cause is Cause.BUSY
    assert failure.value.status == 503
    assert failure.value.headers["Retry-After"] == "5"


async def test_a_statement_that_takes_too_long_is_stopped(running):
    endless = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(60)",
    }
    async with running({"statement_timeout": 0.2, "pool_size": 1, "max_overflow": 0}) as services:
        database = services[Database]
        with anyio.fail_after(5), pytest.raises(DatabaseUnavailable) as failure:
            async with database.transaction() as session:
                await session.execute(text(endless[database.dialect]))
        async with database.transaction() as session:
            assert await session.scalar(COUNT) == 0

    assert failure.value.cause is Cause.SLOW


async def test_processes_that_write_to_one_file_wait_for_one_another(sqlite_url, running_on, notes):
    async with running_on(sqlite_url, {"busy_timeout": 10}) as services, stranger(sqlite_url) as holder:
        holder.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.3, holder.execute, "COMMIT")
        async with services[Database].transaction() as session:
            session.add(notes.Note(title="one"))


WRITER = """
import asyncio, sys
from database_sample import Note, Notes
from powerstrip import create_app
from powerstrip.testing.installed import discovery_with
from powerstrip_database import Database

async def main(config, name):
    app = create_app(config, discovery=discovery_with({"notes": Notes}))
    async with app.router.lifespan_context(app):
        database = app.state.powerstrip.index.services[Database]

        async def write(number):
            async with database.transaction() as session:
                session.add(Note(title=f"{name} {number}"))

        await asyncio.gather(*(write(number) for number in range(100)))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_that_write_a_lot_lose_nothing(database_url, powerstrip_config, database):
    path = powerstrip_config({"database": {"url": database_url}, "notes": True})
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(path), name) for name in ("one", "two")
    ]

    assert [await writer.wait() for writer in writers] == [0, 0]
    async with database.reading() as session:
        assert await session.scalar(COUNT) == 200


async def test_who_reads_in_order_to_write_keeps_other_processes_from_writing_in_between(sqlite_url, running_on):
    async with running_on(sqlite_url) as services, stranger(sqlite_url) as other:
        other.execute("PRAGMA busy_timeout = 0")
        async with services[Database].transaction() as session:
            await session.execute(COUNT)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


async def test_a_process_that_never_stops_writing_costs_503_and_no_more(sqlite_url, running_on, notes):
    async with running_on(sqlite_url, {"busy_timeout": 0.1}) as services, stranger(sqlite_url) as holder:
        database = services[Database]
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable) as failure:
            async with database.transaction() as session:
                session.add(notes.Note(title="one"))
        async with database.reading() as session:
            assert await session.scalar(COUNT) == 0
        holder.execute("COMMIT")
        async with database.transaction() as session:
            session.add(notes.Note(title="one"))

    assert failure.value.cause is Cause.BUSY
