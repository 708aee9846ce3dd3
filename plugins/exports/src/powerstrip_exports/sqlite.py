"""Reading from SQLite in a thread: a connection of its own, one read transaction, CSV made inside the database."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event

from powerstrip_database import Database
from powerstrip_exports.csv_format import LINE_END
from powerstrip_exports.domain import Piece
from powerstrip_exports.encoders import Encoder
from powerstrip_exports.forms import MOMENT_END, NULL, PERHAPS_FORMULA, ROW_END
from powerstrip_exports.formulas import IN_JSON

_ROWS_AT_ONCE = 800
_FIRST_ROWS = 100
_ROWS_TO_ENCODE = 250
_NULL_IN_JSON = b'"%b"' % NULL
_FORMULA = re.compile(PERHAPS_FORMULA + b"(?=" + IN_JSON + b")")
BETWEEN_ROWS = b"]" + ROW_END + b"["
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


def csv_pieces(engine: Engine, statement: Any) -> Iterator[Piece]:
    """The rows, piece by piece; each `next` reads and writes some in the calling thread."""
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.text_factory = bytes
        result = connection.execute(statement)
        with closing(result.cursor) as cursor:
            most = _FIRST_ROWS
            while rows := cursor.fetchmany(most):
                yield Piece(len(rows), csv_lines(ROW_END.join([row for (row,) in rows])))
                most = _ROWS_AT_ONCE


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
    page = page.replace(b".000000" + MOMENT_END, b"Z").replace(MOMENT_END, b"Z")
    return unescaped(page).replace(BETWEEN_ROWS, LINE_END)[1:-1] + LINE_END


def unescaped(page: bytes) -> bytes:
    """JSON arrays whose values are as CSV has them."""
    if NULL in page:
        page = page.replace(_NULL_IN_JSON, b"")
    if PERHAPS_FORMULA in page:
        page = _FORMULA.sub(b"'", page).replace(PERHAPS_FORMULA, b"")
    return _ESCAPE.sub(_unescaped, page) if b"\\" in page else page


def _unescaped(found: "re.Match[bytes]") -> bytes:
    code, character = found.groups()
    if code is None:
        return _ESCAPED[character]
    return chr(int(code, 16)).encode(errors="replace")
