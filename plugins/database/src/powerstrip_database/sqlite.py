"""SQLite: one connection that writes, several that read, and what its errors mean."""

import os
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ExceptionContext, event
from sqlalchemy import Connection as SQLAlchemyConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from powerstrip_database.engines import FOR_MIGRATIONS, Engines, attach
from powerstrip_database.errors import Cause
from powerstrip_database.failures import Failures
from powerstrip_database.settings import DatabaseSettings
from powerstrip_database.sqlite_connection import Connection
from powerstrip_database.statements import StatementWatch

_MIGRATION_BUSY_TIMEOUT = 60.0  # seconds: another process may be migrating
_NO_LIMIT = float("inf")
# Readers don't wait for a writer (WAL), and what is committed survives a power failure (FULL).
_DURABLE = ("journal_mode = WAL", "synchronous = FULL")
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
    read: they see the last commit and wait for nobody.
    """
    limits = {"busy_timeout": settings.busy_timeout, "statement_timeout": settings.statement_timeout}
    write = _engine(
        settings.address,
        pragmas=(*_DURABLE, "foreign_keys = ON"),
        **limits,
        pool_size=1,
        max_overflow=0,
        pool_timeout=settings.pool_timeout,
    )
    read = _engine(
        settings.address,
        pragmas=("query_only = ON",),
        **limits,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
    )
    migrate = _engine(
        settings.address,
        # Alembic changes a table by copying it and dropping the old one, which must not delete what refers to it.
        pragmas=(*_DURABLE, "foreign_keys = OFF"),
        busy_timeout=_MIGRATION_BUSY_TIMEOUT,
        statement_timeout=_NO_LIMIT,
        **FOR_MIGRATIONS,
    )
    event.listen(write.sync_engine, "begin", _begin_to_write)
    event.listen(read.sync_engine, "begin", _begin_to_read)
    event.listen(migrate.sync_engine, "begin", _begin_to_write)
    failures = Failures(_cause_of, settings.retry_after)
    for engine in (write, read, migrate):
        attach(engine, failures, watch)
    return Engines("sqlite", write, read, migrate, failures)


def make_room(url: URL) -> None:
    """Make the file and the folder it is in, if they are missing, with rights for the owner only."""
    path = Path(url.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(
    url: URL, *, pragmas: Sequence[str], busy_timeout: float, statement_timeout: float, **pool: Any
) -> AsyncEngine:
    async def connect(path: str, **options: Any) -> Connection:
        # sqlite3 shall not begin transactions by itself.
        opening = partial(sqlite3.connect, path, isolation_level=None, timeout=busy_timeout, **options)
        return await Connection.opened(opening, pragmas, statement_timeout)

    engine = create_async_engine(url, connect_args={"async_creator_fn": connect}, hide_parameters=True, **pool)
    event.listen(engine.sync_engine, "before_cursor_execute", lambda connection, *_: _driver(connection).start_clock())
    event.listen(engine.sync_engine, "after_cursor_execute", lambda connection, *_: _driver(connection).stop_clock())
    event.listen(engine.sync_engine, "handle_error", _stop_if_cancelled)
    return engine


def _driver(connection: SQLAlchemyConnection) -> Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, Connection):
        raise TypeError(f"{driver!r} was not opened here")
    return driver


def _stop_if_cancelled(context: ExceptionContext) -> None:
    """Nobody waits for the statement any more, and its thread would not hear of that."""
    connection = context.connection
    is_cancelled = not isinstance(context.original_exception, Exception)
    if is_cancelled and connection is not None and not connection.invalidated:
        _driver(connection).stop_statement()


def _begin_to_write(connection: SQLAlchemyConnection) -> None:
    # One that only becomes a writer later would fail at once where another has written meanwhile.
    _driver(connection).begin_with_next("BEGIN IMMEDIATE")


def _begin_to_read(connection: SQLAlchemyConnection) -> None:
    _driver(connection).begin_with_next("BEGIN")


def _cause_of(error: BaseException) -> Cause | None:
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorname", "")
    return next((cause for name, cause in _CAUSES if code.startswith(name)), None)
