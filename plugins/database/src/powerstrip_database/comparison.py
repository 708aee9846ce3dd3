"""Indexes of expressions on SQLite, which SQLAlchemy can't read: they are compared by their names."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import Index, text


class NamedIndexes(SQLiteImpl):
    """Alembic's ways with SQLite, which would skip all indexes that SQLAlchemy can't read, and warn of each.

    Alembic takes the class that was defined last for a dialect.
    """

    __dialect__ = "sqlite"

    def correct_for_autogen_constraints(
        self,
        conn_unique_constraints: set[Any],  # noqa: ARG002 - Alembic's signature
        conn_indexes: set[Index],
        metadata_unique_constraints: set[Any],  # noqa: ARG002 - Alembic's signature
        metadata_indexes: set[Index],
    ) -> None:
        """Leave out what is there but could not be read; what is missing stays, and is found to be missing."""
        assert self.connection is not None  # noqa: S101
        there = set(self.connection.scalars(text("SELECT name FROM sqlite_schema WHERE type = 'index'")))
        unread = there - {index.name for index in conn_indexes}
        metadata_indexes -= {index for index in metadata_indexes if index.name in unread}


@contextmanager
def comparing_indexes_by_name() -> Iterator[None]:
    """What SQLAlchemy says of indexes that it can't read is not said: they are compared all the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        yield
