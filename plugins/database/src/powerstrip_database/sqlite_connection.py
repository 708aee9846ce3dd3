"""A connection to SQLite that goes to its thread as seldom as can be.

Each way there and back costs as much as a small query. So a statement is prepared, run and read in one go, a
transaction that reads begins with its first statement, and what has ended is not ended again.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Self, TypeVar

import aiosqlite

ResultT = TypeVar("ResultT")

_NO_LIMIT = float("inf")
_INSTRUCTIONS_BETWEEN_LOOKS = 10_000  # of SQLite's virtual machine: a fraction of a millisecond
_READ_AT_ONCE = 256  # rows that come along with a statement; whoever streams gets the rest piece by piece


class _RawConnection(sqlite3.Connection):
    """Ends its transaction when it is closed.

    SQLite keeps a closed connection, and its lock, for as long as anything holds on to a statement of it: the traceback
    of one that was interrupted, say. Nobody could write until the garbage is collected.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):  # it may be past that
            self.rollback()
        super().close()


class Connection(aiosqlite.Connection):
    """Runs statements in a thread, and stops those that take too long, as `statement_timeout` does on PostgreSQL."""

    def __init__(self, opening: Callable[..., sqlite3.Connection], pragmas: Sequence[str], limit: float) -> None:
        """`opening` is `sqlite3.connect` with what it needs; `limit` is in seconds."""
        self._opening = opening
        self._pragmas = pragmas
        self._limit = limit
        self._deadline = _NO_LIMIT
        self._begin: str | None = None
        self._is_clean = True
        super().__init__(self._open, iter_chunk_size=_READ_AT_ONCE)
        self._thread.daemon = True  # it shall not keep a process from ending; SQLAlchemy does the same

    @classmethod
    async def opened(
        cls, opening: Callable[..., sqlite3.Connection], pragmas: Sequence[str], limit: float
    ) -> "Connection":
        """Open one. aiosqlite by itself loses hold of a connection when it is cancelled meanwhile."""
        connection = cls(opening, pragmas, limit)
        waiting = asyncio.ensure_future(connection)
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await waiting
            await connection.close()
            raise
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = self._opening(factory=_RawConnection)
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}")
        # Asked in the thread that the statement runs in.
        connection.set_progress_handler(lambda: monotonic() > self._deadline, _INSTRUCTIONS_BETWEEN_LOOKS)
        return connection

    def start_clock(self) -> None:
        self._deadline = monotonic() + self._limit

    def stop_clock(self) -> None:
        self._deadline = _NO_LIMIT

    def stop_statement(self) -> None:
        """Let the running statement fail, whatever time it has left."""
        self._deadline = 0.0

    def begin_with_next(self, begin: str) -> None:
        """Run `begin` before the next statement, on the same way."""
        self._begin = begin

    def cursor(self) -> "Cursor":  # type: ignore[override]  # aiosqlite's is also one to await, or to enter
        return Cursor(self)

    async def commit(self) -> None:
        self._begin = None
        if not self._is_clean:
            await super().commit()
            self._is_clean = True

    async def rollback(self) -> None:
        self._begin = None
        # Whether a transaction is open can't be asked here: a cancelled statement may just begin one.
        if not self._is_clean:
            await super().rollback()
            self._is_clean = True

    async def _execute(self, fn: Callable[..., ResultT], *args: Any, **kwargs: Any) -> ResultT:
        self._is_clean = False
        result: ResultT = await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]  # it comes so
        return result

    async def run(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run `work` in the thread, after the transaction has begun if one is to."""
        begin, self._begin = self._begin, None

        def in_thread() -> ResultT:
            if begin is not None:
                self._conn.execute(begin)
            return work(self._conn)

        return await self._execute(in_thread)


class Cursor:
    """What SQLAlchemy needs of aiosqlite's cursor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self._rows: deque[Any] = deque()
        self._has_more = False
        self.arraysize = 1

    def __await__(self) -> Generator[Any, None, "Cursor"]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> "Cursor":
        return await self._run(lambda cursor: cursor.execute(sql, parameters))  # type: ignore[arg-type]

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> "Cursor":
        return await self._run(lambda cursor: cursor.executemany(sql, parameters))  # type: ignore[arg-type]

    async def _run(self, statement: Callable[[sqlite3.Cursor], object]) -> "Cursor":
        await self.close()

        def work(connection: sqlite3.Connection) -> tuple[sqlite3.Cursor, list[Any]]:
            cursor = connection.cursor()
            statement(cursor)
            rows = cursor.fetchmany(_READ_AT_ONCE) if cursor.description else []
            return cursor, rows

        self._cursor, rows = await self._connection.run(work)
        self._rows.extend(rows)
        self._has_more = len(rows) == _READ_AT_ONCE
        return self

    async def fetchone(self) -> Any:
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self.arraysize if size is None else size
        if len(self._rows) < wanted and self._has_more:
            await self._read(max(wanted - len(self._rows), _READ_AT_ONCE))
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    async def fetchall(self) -> list[Any]:
        if self._has_more:
            await self._read(None)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def __aiter__(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(_READ_AT_ONCE):
            for row in rows:
                yield row

    async def _read(self, most: int | None) -> None:
        cursor = self._cursor
        if cursor is not None:
            read = cursor.fetchall if most is None else (lambda: cursor.fetchmany(most))
            rows = await self._connection.run(lambda _connection: read())
            self._rows.extend(rows)
            self._has_more = len(rows) == most

    async def close(self) -> None:
        self._rows.clear()
        if self._has_more and self._cursor is not None:  # one that is read to its end holds nothing
            self._has_more = False
            close = self._cursor.close
            await self._connection.run(lambda _connection: close())

    @property
    def description(self) -> Any:
        return self._cursor.description if self._cursor is not None else None

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount if self._cursor is not None else -1

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid if self._cursor is not None else None
