"""Reading from SQLite in threads: a connection of its own, one read transaction, whole tables column by column.

A second connection would not help: threads that are in SQLite at a time wait for each other whenever it takes memory.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, Select, create_engine, event

from powerstrip_database import Database
from powerstrip_exports.domain import Page, Row
from powerstrip_exports.statements import SourceQuery, compiled_for

_ROWS_AT_ONCE = 1_000
_FIRST_ROWS, _MOST_ROWS = 100, 6_000
_ENOUGH = 1152 * 1024  # bytes of a page
_LEAST_ROWID, _GREATEST_ROWID = -(1 << 63), (1 << 63) - 1
_MUCH = 4 * 1024 * 1024  # characters of long texts in a page
# A column may be called like that, and hide the numbers of the rows. What stands for missing texts in lists is no
# character in UTF-8 alone.
_HAS_PAGES = """
SELECT 1 FROM pragma_table_list AS tables
WHERE schema = 'main' AND name = ? COLLATE NOCASE AND type = 'table' AND wr = 0
AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(tables.name) WHERE name = 'rowid' COLLATE NOCASE)
AND (SELECT encoding FROM pragma_encoding) = 'UTF-8'
"""
# By the table itself: through an index that happens to hold all columns, each page would be as long a way as the table.
_LAST_ROW = "SELECT rowid FROM {} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1 OFFSET ?"
_OF_PAGE = " NOT INDEXED WHERE rowid BETWEEN ? AND ?"


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


def stored_batches(engine: Engine, query: SourceQuery, rows: Select[Any]) -> Generator[Page | Sequence[Row]]:
    """Pages of columns where the rows are just those of a table, else batches of what `rows` gives."""
    table, columns = query.whole_table(), query.columns_on_sqlite()
    if table is None or columns is None or not _has_pages(engine, table):
        yield from row_batches(engine, rows, _ROWS_AT_ONCE, as_bytes=True)
    else:
        with engine.connect() as connection:
            _take_bytes(connection)
            yield from _Pages(connection, table, columns, query.size_on_sqlite()).all()


def _has_pages(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        return connection.exec_driver_sql(_HAS_PAGES, (table,)).first() is not None


class _Pages:
    """All rows of a table in the order of their rowids, and each column as a list.

    The database makes each page in one step, so that this thread seldom waits for its turn in Python.
    """

    def __init__(self, connection: Connection, table: str, columns: Select[Any], size: Select[Any] | None) -> None:
        """`columns` gives the count of rows and the lists, `size` the length of long texts, where there may be some."""
        self._connection = connection
        # Written here, since SQLAlchemy would look through the whole statement again for each page.
        self._columns = compiled_for(columns, connection.dialect)
        self._size = None if size is None else compiled_for(size, connection.dialect)
        self._last_row = _LAST_ROW.format(connection.dialect.identifier_preparer.quote(table))
        self._most = _FIRST_ROWS

    def all(self) -> Generator[Page]:
        first = _LEAST_ROWID
        while first <= _GREATEST_ROWID:
            last = self._last(first)
            rows, *lists = self._of_page(self._columns, first, last)
            if rows:
                yield Page(rows, lists)
                self._most = max(1, min(_MOST_ROWS, 4 * rows, _ENOUGH * rows // sum(map(len, lists))))
            first = last + 1

    def _last(self, first: int) -> int:
        """Where the page ends that begins with a rowid. Long texts may come after thousands of short ones."""
        while True:
            last = self._connection.exec_driver_sql(self._last_row, (first, self._most - 1)).scalar()
            last = _GREATEST_ROWID if last is None else last
            if self._size is None or self._most == 1:
                return last
            (size,) = self._of_page(self._size, first, last)
            if size <= _MUCH:
                return last
            self._most = max(1, int(self._most * _ENOUGH / size))

    def _of_page(self, compiled: tuple[str, list[Any]], first: int, last: int) -> Row:
        statement, arguments = compiled
        return self._connection.exec_driver_sql(statement + _OF_PAGE, (*arguments, first, last)).one()


def row_batches(
    engine: Engine, statement: Select[Any], most: int, *, as_bytes: bool = False
) -> Generator[Sequence[Row]]:
    """The rows as they are stored, at most so many at a time; `as_bytes` leaves texts undecoded."""
    with engine.connect() as connection:
        if as_bytes:
            _take_bytes(connection)
        result = connection.execute(statement)
        with closing(result.cursor) as cursor:
            rows = cursor.fetchmany(_FIRST_ROWS)
            while rows:
                yield rows
                rows = cursor.fetchmany(most)


def _take_bytes(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.text_factory = bytes
