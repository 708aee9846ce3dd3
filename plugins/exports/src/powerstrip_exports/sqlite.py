"""Reading from SQLite in threads: a connection of its own, one read transaction, CSV made inside the database.

A second connection would not help: threads that are in SQLite at a time wait for each other whenever it takes memory.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, Select, create_engine, event, literal_column

from powerstrip_database import Database
from powerstrip_exports.csv_format import LINE_END
from powerstrip_exports.domain import Piece
from powerstrip_exports.encoders import Encoder
from powerstrip_exports.forms import MOMENT_END, NULL, PERHAPS_FORMULA, ROW_END, UUID
from powerstrip_exports.formulas import IN_JSON
from powerstrip_exports.statements import compiled_for

_ROWS_AT_ONCE = 800
_FIRST_ROWS, _MOST_ROWS = 100, 2_000
_ENOUGH = 384 * 1024  # bytes of a page
_ROWS_TO_ENCODE = 250
_LEAST_ROWID, _GREATEST_ROWID = -(1 << 63), (1 << 63) - 1
_HAS_ROWIDS = (
    "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE AND type = 'table' AND wr = 0"
)
_PAGE = "SELECT max(id), count(*), group_concat(line, ?) FROM ({} WHERE rowid >= ? ORDER BY rowid LIMIT ?)"
# Patterns, which find such short things in half the time that `replace` takes.
_NULL_IN_JSON = re.compile(b'"%b"' % NULL)
_BETWEEN_ROWS = re.compile(rb"\]%b\[" % ROW_END)
_FORMULA = re.compile(PERHAPS_FORMULA + b"(?=" + IN_JSON + b")")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPED = MappingProxyType(
    {b'"': b'""', b"\\": b"\\", b"/": b"/", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
)


def reading_engine(database: Database) -> Engine:
    """Connections for exports alone: the pool's are for requests, which are soon over."""
    engine = create_engine(
        f"sqlite+pysqlite:///{database.engine.url.database}",
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def only_read(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def has_rowids(engine: Engine, table: str) -> bool:
    """Whether it is a table with rowids, and no view."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(_HAS_ROWIDS, (table,)).first() is not None


def pages_of_table(engine: Engine, statement: Select[Any]) -> Iterator[Piece]:
    """All rows of a table in the order of their rowids, as pages for `csv_lines`.

    The database makes each page as one text, so that this thread seldom waits for its turn in Python.
    """
    rows_of_page, arguments = compiled_for(statement.add_columns(literal_column("rowid").label("id")), engine.dialect)
    # Written here, since SQLAlchemy would look through the whole statement again for each page.
    sql = _PAGE.format(rows_of_page)
    with engine.connect() as connection:
        _take_bytes(connection)
        first, most = _LEAST_ROWID, _FIRST_ROWS
        while first <= _GREATEST_ROWID:
            last, rows, page = connection.exec_driver_sql(sql, (ROW_END, *arguments, first, most)).one()
            if not rows:
                return
            yield Piece(rows, page)
            first = last + 1
            most = max(1, min(_MOST_ROWS, 4 * rows, _ENOUGH * rows // len(page)))


def csv_pieces(engine: Engine, statement: Any) -> Iterator[Piece]:
    """The rows, piece by piece; each `next` reads and writes some in the calling thread."""
    with engine.connect() as connection:
        _take_bytes(connection)
        result = connection.execute(statement)
        with closing(result.cursor) as cursor:
            most = _FIRST_ROWS
            while rows := cursor.fetchmany(most):
                yield Piece(len(rows), csv_lines(ROW_END.join([row for (row,) in rows])))
                most = _ROWS_AT_ONCE


def _take_bytes(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.text_factory = bytes


def encoded_pieces(engine: Engine, statement: Any, new_encoder: Callable[[], Encoder]) -> Iterator[Piece]:
    """The whole file by an encoder, likewise."""
    encoder = new_encoder()
    encoder.stored = True
    try:
        yield Piece(0, encoder.begin())
        with engine.connect() as connection:
            result = connection.execute(statement)
            with closing(result.cursor) as cursor:
                write = getattr(encoder, "texts", encoder.rows)
                while rows := cursor.fetchmany(_ROWS_TO_ENCODE):
                    yield Piece(len(rows), write(rows))
        yield Piece(0, encoder.end())
    finally:
        encoder.close()


def csv_lines(page: bytes) -> bytes:
    """JSON arrays of texts and integers, with marks, as CSV lines."""
    page = _NULL_IN_JSON.sub(b"", page)
    if PERHAPS_FORMULA in page:
        page = _FORMULA.sub(b"'", page).replace(PERHAPS_FORMULA, b"")
    page = page.replace(b".000000" + MOMENT_END, b"Z").replace(MOMENT_END, b"Z")
    if UUID in page:
        page = _with_dashes(page)
    if b"\\" in page:
        page = _ESCAPE.sub(_unescaped, page)
    return _BETWEEN_ROWS.sub(LINE_END, page)[1:-1] + LINE_END


def _with_dashes(page: bytes) -> bytes:
    # SQLite has no function that would do this in one call, and takes twice as long with several.
    before, *others = page.split(UUID)
    return before + b"".join(
        [b"-".join((part[:8], part[8:12], part[12:16], part[16:20], part[20:])) for part in others]
    )


def _unescaped(found: "re.Match[bytes]") -> bytes:
    code, character = found.groups()
    if code is None:
        return _ESCAPED[character]
    return chr(int(code, 16)).encode(errors="replace")
