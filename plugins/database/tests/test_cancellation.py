"""Tasks that are cancelled in the middle of a transaction end, and leave nothing behind."""

import asyncio
import sqlite3
from functools import partial

from sqlalchemy import text

from powerstrip_database import Database
from powerstrip_database.sqlite_connection import Connection

COUNT = text("SELECT count(*) FROM notes")


async def test_a_task_that_is_cancelled_at_any_step_ends_cancelled_and_writes_nothing(running, notes):
    outcomes = []
    async with running({"pool_size": 1, "max_overflow": 0}) as services:
        database = services[Database]

        async def work():
            async with database.transaction() as session:
                session.add(notes.Note(title="one"))
                await session.flush()
                await session.execute(COUNT)
                await asyncio.Event().wait()

        for steps in range(100):
            task = asyncio.create_task(work())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            outcomes += await asyncio.gather(task, return_exceptions=True)
        async with database.reading() as session:
            found = await session.scalar(COUNT)

    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    assert found == 0


async def test_a_task_that_is_cancelled_in_the_middle_of_a_statement_does_not_wait_for_it(running):
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(60)",
    }
    async with running({"pool_size": 1, "max_overflow": 0}) as services:
        database = services[Database]

        async def work():
            async with database.reading() as session:
                await session.execute(text(slow[database.dialect]))

        task = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        task.cancel()
        (outcome,) = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 3)
        async with database.reading() as session:
            found = await session.scalar(COUNT)

    assert isinstance(outcome, asyncio.CancelledError)
    assert found == 0


async def test_a_connection_to_sqlite_that_is_closed_keeps_no_lock_whoever_holds_on_to_its_statements(tmp_path):
    path = tmp_path / "file.db"
    connection = await Connection.opened(partial(sqlite3.connect, path, isolation_level=None), (), 60)
    await connection.run(lambda raw: raw.executescript("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)"))
    await connection.run(lambda raw: raw.execute("BEGIN IMMEDIATE"))
    statement = await connection.run(lambda raw: raw.execute("SELECT x FROM t"))

    await connection.close()

    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    other.close()
    assert statement
