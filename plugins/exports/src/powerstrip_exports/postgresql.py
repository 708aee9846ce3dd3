"""Reading from PostgreSQL: CSV that the server writes itself (COPY)."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

from sqlalchemy import literal_column, text
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_exports.csv_format import LINE_END, NUMERIC, csv_head
from powerstrip_exports.domain import Piece, Row
from powerstrip_exports.errors import SourceError
from powerstrip_exports.statements import SourceQuery, compiled_for
from powerstrip_exports.threads import Threads

_NO_LIMIT = 86_400.0
_SESSION = MappingProxyType(
    {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "timezone": "UTC",
        "datestyle": "ISO",
        "standard_conforming_strings": "on",
        # Else a scan of a large table begins where another one just is.
        "synchronize_seqscans": "off",
    }
)
_ENCODINGS = frozenset(("UTF8", "LATIN1"))  # in which characters have Unicode's numbers
# A column behind all others shows where rows end. Its value is one that is guarded everywhere else: after a comma, a
# single quote begins a value, and no other value begins like that.
_LAST = "row_end"
_ROW_END = b',"="\n'
_ENOUGH = 128 * 1024
_ENOUGH_FOR_ARROW = 256 * 1024
_MUCH = 64 * 1024
_MOMENT = 0.000_5  # seconds
_NEARLY_DONE = 0.05  # seconds


async def prepare_session(session: AsyncSession) -> None:
    """Let this transaction take as long as its client does, and write times alike everywhere."""
    settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SESSION.items())
    await session.execute(text(f"SELECT {settings}"))


async def csv_pieces(
    session: AsyncSession, query: SourceQuery, statement: Any, threads: Threads, *, bom: bool
) -> AsyncGenerator[Piece]:
    """The whole file, piece by piece. Nothing more is read while the last piece waits for its client."""
    yield Piece(0, csv_head(query.selection.columns, bom=bom))
    await prepare_session(session)
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    encoding = driver.get_settings().server_encoding
    if encoding not in _ENCODINGS:
        raise SourceError(f"formulas can't be guarded in a database in {encoding}: CSV needs one in UTF8")
    ended = statement.add_columns(literal_column("'='").label(_LAST))
    sql, arguments = compiled_for(ended, session.get_bind().dialect)
    quoted = [f"c{at}" for at, column in enumerate(query.selection.columns) if column.type not in NUMERIC]
    async with aclosing(_copied(driver, sql, arguments, [*quoted, _LAST], _ENOUGH)) as pages:
        async for page in pages:
            lines = await threads.run(page.replace, _ROW_END, LINE_END)
            yield Piece((len(page) - len(lines)) // (len(_ROW_END) - len(LINE_END)), lines)


async def csv_pages(session: AsyncSession, statement: Any) -> AsyncGenerator[bytes]:
    """Some whole rows at a time, as COPY writes them: nulls are empty, and empty texts quoted."""
    await prepare_session(session)
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    sql, arguments = compiled_for(statement, session.get_bind().dialect)
    async with aclosing(_copied(driver, sql, arguments, None, _ENOUGH_FOR_ARROW)) as pages:
        async for page in pages:
            yield page


async def _copied(
    driver: Any, sql: str, arguments: Sequence[Any], quoted: Sequence[str] | None, enough: int
) -> AsyncGenerator[bytes]:
    """What COPY sends, `enough` bytes of whole rows at a time."""
    handover = _Handover(enough)
    copying = asyncio.create_task(
        driver.copy_from_query(
            sql, *arguments, output=handover.put, format="csv", force_quote=quoted, timeout=_NO_LIMIT
        )
    )
    copying.add_done_callback(lambda _task: handover.finish())
    try:
        async for page in handover.pages():
            yield page
        await copying
    finally:
        # Whoever leaves may leave the last rows, and where those were being handed over, the driver waits half a minute
        # for the end of a COPY that has ended before.
        handover.discard()
        try:
            await asyncio.wait((copying,), timeout=_NEARLY_DONE)
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)


async def row_batches(session: AsyncSession, statement: Any, rows_at_once: int) -> AsyncGenerator[Sequence[Row]]:
    """The rows as the driver has them, through a cursor of the server."""
    await prepare_session(session)
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    sql, arguments = compiled_for(statement, session.get_bind().dialect)
    cursor = await driver.cursor(sql, *arguments)
    while rows := await cursor.fetch(rows_at_once):
        yield rows


class _Handover:
    """Passes what COPY sends to who writes it out, a page at a time."""

    def __init__(self, enough: int) -> None:
        self._enough = enough
        self._parts: list[bytes] = []
        self._size = 0
        self._first = True
        self._discards = False
        self._finished = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Take whole rows; returns when there is room for more."""
        if self._discards:
            return
        self._parts.append(data)
        self._size += len(data)
        if self._first or self._size >= self._enough:
            self._first = False
            self._changed.set()
            self._taken.clear()
            await self._taken.wait()
        elif len(data) < _MUCH:
            # It comes in small parts: a moment later there are many, which are read as quickly as one.
            await asyncio.sleep(_MOMENT)

    def discard(self) -> None:
        """Nobody reads any more: let all that still comes go by."""
        self._discards = True
        self._taken.set()

    def finish(self) -> None:
        self._finished = True
        self._changed.set()

    async def pages(self) -> AsyncGenerator[bytes]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            parts, self._parts, self._size = self._parts, [], 0
            finished = self._finished
            if parts:
                yield b"".join(parts)
            self._taken.set()
            if finished:
                return
