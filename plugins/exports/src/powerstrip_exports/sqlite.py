"""Reading from SQLite in a thread: a connection of its own, one read transaction, CSV made inside the database."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event

from powerstrip_database import Database
from powerstrip_exports.csv_format import BOM, LINE_END, header_line
from powerstrip_exports.domain import Piece
from powerstrip_exports.encoders import Encoder
from powerstrip_exports.formulas import guard_json_rows
from powerstrip_exports.statements import NULL, SourceQuery

_ROWS_AT_ONCE = 800
_FIRST_ROWS = 100
_ROWS_TO_ENCODE = 250
_NULL_IN_JSON = b'"\\u001c' + NULL[1:].encode() + b'"'
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


def csv_pieces(engine: Engine, query: SourceQuery, statement: Any, *, bom: bool) -> Iterator[Piece]:
    """The whole file, piece by piece; each `next` reads and writes some rows in the calling thread."""
    yield Piece(0, (BOM if bom else b"") + header_line(query.selection.columns))
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.text_factory = bytes
        result = connection.execute(statement)
        with closing(result.cursor) as cursor:
            most = _FIRST_ROWS
            while rows := cursor.fetchmany(most):
                yield Piece(len(rows), _csv_lines([row for (row,) in rows]))
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


def _csv_lines(rows: list[bytes]) -> bytes:
    """JSON arrays of texts and integers as CSV lines."""
    # No JSON text holds a line break: what stands between two rows is no part of any.
    page = b"\n".join(rows).replace(_NULL_IN_JSON, b"")
    page = guard_json_rows(page).replace(b"]\n[", LINE_END)[1:-1]
    if b"\\" in page:
        page = _ESCAPE.sub(_unescaped, page)
    return page + LINE_END


def _unescaped(found: "re.Match[bytes]") -> bytes:
    code, character = found.groups()
    if code is None:
        return _ESCAPED[character]
    return chr(int(code, 16)).encode(errors="replace")
