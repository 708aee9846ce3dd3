"""SQLite: one connection that writes, several that read, and what its errors mean."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from powerstrip_database.engines import Engines, attach
from powerstrip_database.errors import Cause
from powerstrip_database.failures import Failures
from powerstrip_database.settings import DatabaseSettings
from powerstrip_database.statements import StatementWatch

_MIGRATION_BUSY_TIMEOUT = 60.0  # seconds: another process may be migrating
_INSTRUCTIONS_BETWEEN_LOOKS = 10_000  # of SQLite's virtual machine: a fraction of a millisecond
# Beginnings of SQLite's names of result codes.
_CAUSES = (
    ("SQLITE_BUSY", Cause.BUSY),
    ("SQLITE_LOCKED", Cause.BUSY),
    ("SQLITE_INTERRUPT", Cause.SLOW),
    ("SQLITE_CANTOPEN", Cause.UNREACHABLE),
    ("SQLITE_FULL", Cause.UNREACHABLE),
    ("SQLITE_IOERR", Cause.UNREACHABLE),
)


def open_sqlite(settings: DatabaseSettings, watch: StatementWatch) -> Engines:
    """Make the engines; nothing is opened yet.

    One connection writes, so writers queue for it in order and never collide inside this process. The others may only
    read: they see the last commit and wait for nobody (WAL).
    """
    failures = Failures(_cause_of, settings.retry_after)
    url, timeout = settings.address, settings.busy_timeout
    write = _engine(url, timeout, pool_size=1, max_overflow=0, pool_timeout=settings.pool_timeout)
    read = _engine(
        url,
        timeout,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
    )
    migrate = _engine(url, _MIGRATION_BUSY_TIMEOUT, poolclass=NullPool)
    _prepare(write, "BEGIN IMMEDIATE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
    _prepare(read, "BEGIN", "query_only = ON")
    # Alembic changes a table by copying it and dropping the old one, which must not delete what refers to it.
    _prepare(migrate, "BEGIN IMMEDIATE", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = OFF")
    for engine in (write, read):
        _limit_statements(engine, settings.statement_timeout)
    for engine in (write, read, migrate):
        attach(engine, failures, watch)
    return Engines("sqlite", write, read, migrate, failures)


def make_room(url: URL) -> None:
    """Make the file and the folder it is in, if they are missing, with rights for the owner only."""
    path = Path(url.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(url: URL, busy_timeout: float, **pool: Any) -> AsyncEngine:
    # sqlite3 shall not begin transactions by itself: SQLAlchemy does, in `_prepare`.
    options = {"isolation_level": None, "timeout": busy_timeout, "async_creator_fn": _open}
    return create_async_engine(url, connect_args=options, hide_parameters=True, **pool)


class _Connection(aiosqlite.Connection):
    """One whose thread never keeps the process from ending, as SQLAlchemy makes them too."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True


async def _open(path: str, **options: Any) -> aiosqlite.Connection:
    """Open a file. aiosqlite by itself loses hold of it when it is cancelled meanwhile."""
    connection = _Connection(partial(sqlite3.connect, path, **options))
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await opening
        await connection.close()
        raise


def _prepare(engine: AsyncEngine, begin: str, *pragmas: str) -> None:
    def connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)


class _Deadline:
    """When the running statement has to end. SQLite asks from its own thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = float("inf")

    def begin(self) -> None:
        self._at = monotonic() + self._seconds

    def end(self) -> None:
        self._at = float("inf")

    def is_over(self) -> bool:
        return monotonic() > self._at


def _limit_statements(engine: AsyncEngine, seconds: float) -> None:
    """What `statement_timeout` is on PostgreSQL."""

    def connected(connection: Any, record: Any) -> None:
        deadline = record.info["deadline"] = _Deadline(seconds)
        connection.run_async(lambda driver: driver.set_progress_handler(deadline.is_over, _INSTRUCTIONS_BETWEEN_LOOKS))

    def begin(connection: Connection, *_others: Any) -> None:
        connection.info["deadline"].begin()

    def end(connection: Connection, *_others: Any) -> None:
        connection.info["deadline"].end()

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "rollback", end)


def _cause_of(error: BaseException) -> Cause | None:
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorname", "")
    return next((cause for name, cause in _CAUSES if code.startswith(name)), None)
