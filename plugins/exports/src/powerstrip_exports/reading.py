"""Where the rows of an export come from, and which way is the fastest."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Engine

from powerstrip import ExportContext
from powerstrip_database import Database
from powerstrip_exports import postgresql, sqlite
from powerstrip_exports.domain import Format, Page, Piece, Row, Selection
from powerstrip_exports.encoders import (
    ColumnEncoder,
    Encoder,
    column_encoder_for,
    encoder_for,
    writes_columns,
)
from powerstrip_exports.errors import SourceError
from powerstrip_exports.statements import SourceQuery
from powerstrip_exports.threads import Threads

E = TypeVar("E", Encoder, ColumnEncoder)
B = TypeVar("B")

_ROWS_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Wanted:
    """One export: what of which source, for whom, in which format."""

    selection: Selection
    context: ExportContext
    format: Format
    bom: bool = False

    @property
    def title(self) -> str:
        source = self.selection.source
        return source.title or source.name


class Reading:
    """Reads sources, each export in one snapshot, and writes what it read."""

    def __init__(self, database: Database, engine: Engine | None, threads: Threads) -> None:
        """`engine` is the one of exports alone, on SQLite."""
        self._database = database
        self._engine = engine
        self._threads = threads

    async def count(self, wanted: Wanted) -> int | None:
        """How many rows it will have, or None where only reading them tells."""
        query = _query(wanted)
        if query is None:
            return None
        async with self._database.reading() as session:
            rows: int | None = await session.scalar(query.count())
            return rows

    def pieces(self, wanted: Wanted) -> AsyncIterator[Piece]:
        """The whole file, piece by piece, made off the event loop. Close it where it is not read to its end."""
        query = _query(wanted)
        if query is None:
            return self._encoded(wanted, self._selected(wanted), stored=False)
        if self._engine is not None:
            return self._columns_of_sqlite(self._engine, wanted, query) or self._queried(wanted, query)
        copied = query.csv_on_postgresql() if wanted.format is Format.CSV else None
        return self._queried(wanted, query) if copied is None else self._copied(query, copied, bom=wanted.bom)

    def _columns_of_sqlite(self, engine: Engine, wanted: Wanted, query: SourceQuery) -> AsyncIterator[Piece] | None:
        rows = query.arrow_rows_on_sqlite()
        if rows is None or not writes_columns(wanted.format, wanted.selection.columns):
            return None
        batches = self._threads.ahead(sqlite.stored_batches(engine, query, rows))
        return self._threads.iterate(_pieces(partial(_column_encoder, wanted), batches, _stored))

    async def _copied(self, query: SourceQuery, statement: Any, *, bom: bool) -> AsyncGenerator[Piece]:
        async with (
            self._database.reading() as session,
            aclosing(postgresql.csv_pieces(session, query, statement, self._threads, bom=bom)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    def _queried(self, wanted: Wanted, query: SourceQuery) -> AsyncIterator[Piece]:
        """By an encoder: past SQLAlchemy where the types of the columns allow it, which is twice as quick."""
        statement = query.stored_rows(on_sqlite=self._engine is not None)
        if statement is None:
            return self._encoded(wanted, self._processed(query), stored=False)
        if self._engine is not None:
            rows = sqlite.row_batches(self._engine, statement, _ROWS_AT_ONCE)
            return self._threads.iterate(_pieces(partial(_encoder, wanted, stored=True), rows, _rows))
        if wanted.format is Format.PARQUET:
            # The database writes CSV, and Arrow reads it: no value becomes an object of Python.
            return self._written(partial(_encoder, wanted), self._copied_pages(statement), _copied_page)
        return self._encoded(wanted, self._stored(statement), stored=True)

    def _encoded(self, wanted: Wanted, rows: AsyncGenerator[Sequence[Row]], *, stored: bool) -> AsyncIterator[Piece]:
        return self._written(partial(_encoder, wanted, stored=stored), rows, _rows)

    async def _written(
        self, new_encoder: Callable[[], E], batches: AsyncGenerator[B], write: Callable[[E, B], Piece]
    ) -> AsyncGenerator[Piece]:
        # In a thread: the first one of a kind may import a large library.
        encoder = await self._threads.run(new_encoder)
        try:
            yield Piece(0, await self._threads.run(encoder.begin))
            async with aclosing(batches):
                async for batch in batches:
                    yield await self._threads.run(write, encoder, batch)
            yield Piece(0, await self._threads.run(encoder.end))
        finally:
            await self._threads.run(encoder.close)

    async def _copied_pages(self, statement: Any) -> AsyncGenerator[bytes]:
        async with (
            self._database.reading() as session,
            aclosing(postgresql.csv_pages(session, statement)) as pages,
        ):
            async for page in pages:
                yield page

    async def _stored(self, statement: Any) -> AsyncGenerator[Sequence[Row]]:
        async with (
            self._database.reading() as session,
            aclosing(postgresql.row_batches(session, statement, _ROWS_AT_ONCE)) as batches,
        ):
            async for batch in batches:
                yield batch

    async def _processed(self, query: SourceQuery) -> AsyncGenerator[Sequence[Row]]:
        async with self._database.reading() as session:
            if self._database.dialect == "postgresql":
                await postgresql.prepare_session(session)
            result = await session.stream(query.rows(), execution_options={"yield_per": _ROWS_AT_ONCE})
            try:
                async for batch in result.partitions():
                    yield batch
            finally:
                await result.close()

    async def _selected(self, wanted: Wanted) -> AsyncGenerator[Sequence[Row]]:
        source, selection = wanted.selection.source, wanted.selection
        if source.batches is None:
            raise SourceError(f"'{source.name}' has neither a query nor batches")
        chosen = [
            None if column.name in selection.masked else at
            for at, column in zip(selection.positions, selection.columns, strict=True)
        ]
        batches: Any = source.batches(wanted.context)
        try:
            async for batch in batches:
                for start in range(0, len(batch), _ROWS_AT_ONCE):
                    some = batch[start : start + _ROWS_AT_ONCE]
                    yield [[None if at is None else row[at] for at in chosen] for row in some]
        finally:
            close = getattr(batches, "aclose", None)
            if close is not None:
                await close()


def _pieces(new_encoder: Callable[[], E], batches: Generator[B], write: Callable[[E, B], Piece]) -> Generator[Piece]:
    """All that `Reading._written` does, in one thread: batches that come without the event loop need no turns of it."""
    encoder = new_encoder()
    try:
        yield Piece(0, encoder.begin())
        with closing(batches):
            for batch in batches:
                yield write(encoder, batch)
        yield Piece(0, encoder.end())
    finally:
        encoder.close()


def _encoder(wanted: Wanted, *, stored: bool = False) -> Encoder:
    encoder = encoder_for(wanted.format, wanted.selection.columns, wanted.title, bom=wanted.bom)
    encoder.stored = stored
    return encoder


def _column_encoder(wanted: Wanted) -> ColumnEncoder:
    return column_encoder_for(wanted.format, wanted.selection.columns, bom=wanted.bom)


def _rows(encoder: Encoder, rows: Sequence[Row]) -> Piece:
    return Piece(len(rows), encoder.rows(rows))


def _stored(encoder: ColumnEncoder, batch: Page | Sequence[Row]) -> Piece:
    return Piece(len(batch), encoder.stored_batch(batch))


def _copied_page(encoder: Any, page: bytes) -> Piece:
    return Piece(*encoder.csv(page))


def _query(wanted: Wanted) -> SourceQuery | None:
    source = wanted.selection.source
    return None if source.query is None else SourceQuery(source.query(wanted.context), wanted.selection)
