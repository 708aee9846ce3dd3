"""Reading whole tables of SQLite: in two threads, each with a connection of its own, both of one snapshot.

The database makes each page itself, so that Python is asked once for some hundred rows.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any

from sqlalchemy import Engine

from powerstrip_exports.csv_format import LINE_END
from powerstrip_exports.domain import Piece
from powerstrip_exports.sqlite_columns import written
from powerstrip_exports.statements import Pages, compiled_for
from powerstrip_exports.threads import Threads

_CONNECTIONS = 2
_TRIES = 20
_FIRST_ROWS, _MOST_ROWS = 100, 1_000
_ENOUGH = 192 * 1024
_LEAST_ROWID, _GREATEST_ROWID = -(1 << 63), (1 << 63) - 1
_HAS_ROWIDS = (
    "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE AND type = 'table' AND wr = 0"
)


class TablePages:
    """The rows of a table in the order of their rowids, as pages of CSV lines."""

    def __init__(self, engine: Engine, pages: Pages, threads: Threads) -> None:
        self._engine = engine
        self._table = pages.table
        self._kinds = pages.kinds
        self._sql, self._arguments = compiled_for(pages.statement, engine.dialect)
        self._threads = threads
        self._rows = _FIRST_ROWS
        self._is_dense = False
        self._greatest = 0

    def is_readable(self) -> bool:
        """Whether it is a table with rowids, and no view."""
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            return driver.execute(_HAS_ROWIDS, (self._table,)).fetchone() is not None

    async def pieces(self) -> AsyncGenerator[Piece]:
        """All pages; two are made while the last one is used."""
        connections: list[Any] = []
        making: deque[asyncio.Task[Piece | None]] = deque()
        first: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        first.set_result(_LEAST_ROWID)
        try:
            await self._threads.run(_begin_one_snapshot, self._engine, connections)
            await self._threads.run(self._find_greatest, connections[0])
            for connection in cycle(connections):
                # Its connection is free again when a page is done.
                piece = await making.popleft() if len(making) == len(connections) else Piece(0, b"")
                if piece is None:
                    return
                self._rows = _fitting(self._rows, piece)
                following: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
                making.append(asyncio.create_task(self._make(connection, first, following)))
                first = following
                if piece.rows:
                    yield piece
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)
            await self._threads.run(_close, connections)

    async def _make(
        self, connection: Any, first: "asyncio.Future[int | None]", following: "asyncio.Future[int | None]"
    ) -> Piece | None:
        start = await first
        last = None if start is None else await self._last(connection, start)
        following.set_result(None if last is None or last == _GREATEST_ROWID else last + 1)
        return None if start is None or last is None else await self._threads.run(self._page, connection, start, last)

    async def _last(self, connection: Any, start: int) -> int | None:
        """The last rowid of a page that begins at `start`, or None where there are no more rows."""
        if not self._is_dense:
            return await self._threads.run(self._counted, connection, start)
        return min(start + self._rows - 1, self._greatest) if start <= self._greatest else None

    def _counted(self, connection: Any, start: int) -> int | None:
        # A table's name, quoted.
        rows = f"FROM {_quoted(self._table)} WHERE rowid >= ? ORDER BY rowid"
        found = connection.driver_connection.execute(f"SELECT rowid {rows} LIMIT 1 OFFSET ?", (start, self._rows - 1))
        last: tuple[int] | None = found.fetchone()
        if last is not None:
            return last[0]
        return self._greatest if start <= self._greatest else None

    def _page(self, connection: Any, start: int, last: int) -> Piece:
        sql = f"{self._sql} WHERE rowid BETWEEN ? AND ?"
        rows, *parts = connection.driver_connection.execute(sql, (*self._arguments, start, last)).fetchone()
        self._is_dense = 2 * rows > last - start  # few rowids are free: counting them would cost more than it spares
        if not rows:
            return Piece(0, b"")
        columns = [written(kind, part, rows) for kind, part in zip(self._kinds, parts, strict=True)]
        lines = map(b",".join, zip(*columns, strict=True))
        return Piece(rows, LINE_END.join(lines) + LINE_END)

    def _find_greatest(self, connection: Any) -> None:
        found = connection.driver_connection.execute(f"SELECT max(rowid) FROM {_quoted(self._table)}")  # noqa: S608 - quoted
        greatest = found.fetchone()[0]
        self._greatest = _LEAST_ROWID - 1 if greatest is None else greatest


def _fitting(rows: int, piece: Piece) -> int:
    """How many rows make the next page of a fitting size."""
    if not piece.rows:
        return rows
    return max(1, min(_MOST_ROWS, 4 * rows, _ENOUGH * piece.rows // len(piece.data)))


def _begin_one_snapshot(engine: Engine, connections: list[Any]) -> None:
    """Add connections that read the same snapshot: as nothing was written between the beginnings of both. Only one,
    where writers leave no time for that."""
    for _ in range(_CONNECTIONS):
        connections.append(engine.raw_connection())
        connections[-1].driver_connection.text_factory = bytes
    one, other = (connection.driver_connection for connection in connections)
    for _ in range(_TRIES):
        before = _version(other)
        for driver in (one, other):
            _begin(driver)
        if _version(other) == before:
            return
        for driver in (one, other):
            driver.execute("ROLLBACK")
    connections.pop().close()
    _begin(one)


def _begin(driver: Any) -> None:
    driver.execute("BEGIN")
    driver.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a snapshot begins with what is read first


def _version(driver: Any) -> int:
    """A number that changes when another connection has written; in a transaction, as of its snapshot."""
    version: int = driver.execute("PRAGMA data_version").fetchone()[0]
    return version


def _close(connections: Sequence[Any]) -> None:
    for connection in connections:
        with suppress(Exception):
            connection.driver_connection.execute("ROLLBACK")
        connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
