"""Where the rows of an export come from, and which way is the fastest."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine

from powerstrip import ExportContext
from powerstrip_database import Database
from powerstrip_exports import postgresql, sqlite
from powerstrip_exports.csv_format import csv_head
from powerstrip_exports.domain import Format, Piece, Row, Selection
from powerstrip_exports.encoders import Encoder, encoder_for
from powerstrip_exports.errors import SourceError
from powerstrip_exports.statements import SourceQuery
from powerstrip_exports.threads import Threads

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
        fast = self._fast_csv(wanted, query) if wanted.format is Format.CSV else None
        return fast or self._queried(wanted, query)

    def _fast_csv(self, wanted: Wanted, query: SourceQuery) -> AsyncIterator[Piece] | None:
        if self._engine is not None:
            statement = query.csv_on_sqlite()
            return None if statement is None else self._csv_on_sqlite(self._engine, query, statement, bom=wanted.bom)
        statement = query.csv_on_postgresql()
        return None if statement is None else self._copied(query, statement, bom=wanted.bom)

    async def _csv_on_sqlite(
        self, engine: Engine, query: SourceQuery, statement: Any, *, bom: bool
    ) -> AsyncGenerator[Piece]:
        yield Piece(0, csv_head(query.selection.columns, bom=bom))
        pages = await self._pages_of_table(engine, query, statement)
        async with aclosing(pages or self._threads.iterate(sqlite.csv_pieces(engine, statement))) as pieces:
            async for piece in pieces:
                # While lines are made of a page, the database makes the next one.
                lines = piece.data if pages is None else await self._threads.run(sqlite.csv_lines, piece.data)
                yield Piece(piece.rows, lines)

    async def _pages_of_table(self, engine: Engine, query: SourceQuery, statement: Any) -> AsyncGenerator[Piece] | None:
        """The rows in pages, or None where they are not just those of a table."""
        table = query.whole_table()
        if statement is None or table is None or not await self._threads.run(sqlite.has_rowids, engine, table):
            return None
        return self._threads.iterate(sqlite.pages_of_table(engine, statement))

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
        if self._engine is None:
            if wanted.format is Format.PARQUET:
                return self._parquet(wanted, self._copied_pages(statement))
            return self._encoded(wanted, self._stored(statement), stored=True)
        if wanted.format is Format.PARQUET:
            return self._parquet_on_sqlite(self._engine, wanted, query, statement)
        return self._threads.iterate(sqlite.encoded_pieces(self._engine, statement, partial(_encoder, wanted)))

    async def _encoded(
        self, wanted: Wanted, rows: AsyncGenerator[Sequence[Row]], *, stored: bool
    ) -> AsyncGenerator[Piece]:
        # In a thread: the first one of a kind may import a large library.
        encoder = await self._threads.run(_encoder, wanted)
        encoder.stored = stored
        try:
            yield Piece(0, await self._threads.run(encoder.begin))
            async with aclosing(rows):
                async for batch in rows:
                    yield Piece(len(batch), await self._threads.run(encoder.rows, batch))
            yield Piece(0, await self._threads.run(encoder.end))
        finally:
            await self._threads.run(encoder.close)

    async def _parquet_on_sqlite(
        self, engine: Engine, wanted: Wanted, query: SourceQuery, statement: Any
    ) -> AsyncGenerator[Piece]:
        pages = await self._pages_of_table(engine, query, query.arrow_on_sqlite())
        if pages is None:
            pieces = self._threads.iterate(sqlite.encoded_pieces(engine, statement, partial(_encoder, wanted)))
        else:
            pieces = self._parquet(wanted, (piece.data async for piece in pages), sqlite.csv_lines)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _parquet(
        self, wanted: Wanted, pages: AsyncGenerator[bytes], lines: Callable[[bytes], bytes] = bytes
    ) -> AsyncGenerator[Piece]:
        """What the database writes as CSV, or in pages that `lines` turns into CSV, read by Arrow: no value becomes an
        object of Python."""
        encoder: Any = await self._threads.run(_encoder, wanted)
        try:
            yield Piece(0, await self._threads.run(encoder.begin))
            async with aclosing(pages):
                async for page in pages:
                    yield Piece(*await self._threads.run(_arrow_page, encoder, lines, page))
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


def _encoder(wanted: Wanted) -> Encoder:
    return encoder_for(wanted.format, wanted.selection.columns, wanted.title, bom=wanted.bom)


def _arrow_page(encoder: Any, lines: Callable[[bytes], bytes], page: bytes) -> tuple[int, bytes]:
    read: tuple[int, bytes] = encoder.csv(lines(page))
    return read


def _query(wanted: Wanted) -> SourceQuery | None:
    source = wanted.selection.source
    return None if source.query is None else SourceQuery(source.query(wanted.context), wanted.selection)
