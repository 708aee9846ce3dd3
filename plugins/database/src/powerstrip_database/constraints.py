"""Which constraint a statement violated, told alike by SQLite and PostgreSQL."""

import re
import sqlite3
from collections.abc import Iterator, Sequence

from sqlalchemy import ExceptionContext, Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import ColumnCollectionConstraint
from sqlalchemy.sql.dml import Delete, UpdateBase

# SQLite's words: "UNIQUE constraint failed: users.email, users.tenant", "UNIQUE constraint failed: index 'ix_lower'",
# "CHECK constraint failed: ck_users_role".
_FAILED = re.compile(r"(?:UNIQUE|CHECK) constraint failed: (?:index '(?P<index>[^']+)'|(?P<what>.+))")
_UNIQUE = frozenset(("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"))


class ConstraintViolation(IntegrityError):
    """An IntegrityError that knows the name of the violated constraint."""

    constraint: str | None = None


def constraint_of(error: IntegrityError) -> str | None:
    """The name of the constraint that a statement violated: of a unique constraint, unique index, foreign key or CHECK.

    None when it can't be known: NOT NULL has no name, and SQLite doesn't tell which of a table's several foreign keys
    it was.
    """
    return error.constraint if isinstance(error, ConstraintViolation) else None


def violation(context: ExceptionContext) -> ConstraintViolation:
    """The same error with the constraint's name, and without the values that PostgreSQL repeats in its details."""
    error = context.sqlalchemy_exception
    if not isinstance(error, IntegrityError) or error.orig is None:
        raise TypeError(f"{error!r} is no violated constraint")
    named = ConstraintViolation(error.statement, error.params, error.orig, hide_parameters=True)
    driver = error.driver_exception
    if isinstance(driver, sqlite3.IntegrityError):
        named.constraint = _sqlite_name(driver, _table_of(context))
    else:
        named.constraint = getattr(driver, "constraint_name", None)
        driver.__dict__["detail"] = None
    return named


def _table_of(context: ExceptionContext) -> tuple[Table, bool] | None:
    """The table that the failed statement writes to, and whether it deletes."""
    execution = context.execution_context
    statement = getattr(execution.compiled, "statement", None) if execution else None
    if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
        return statement.table, isinstance(statement, Delete)
    return None


def _sqlite_name(error: sqlite3.IntegrityError, target: tuple[Table, bool] | None) -> str | None:
    code = error.sqlite_errorname
    found = _FAILED.fullmatch(str(error))
    if found is not None:
        if found["index"] or code == "SQLITE_CONSTRAINT_CHECK":
            return found["index"] or found["what"]
        if code in _UNIQUE and target is not None:
            return _unique_on(target[0], found["what"].split(", "))
    if code == "SQLITE_CONSTRAINT_FOREIGNKEY" and target is not None:
        names = set(_foreign_keys(*target))
        return names.pop() if len(names) == 1 else None
    return None


def _unique_on(table: Table, columns: Sequence[str]) -> str | None:
    """The unique constraint or index on columns named `table.column`; triggers may make it another table's."""
    wanted = sorted(columns)
    found = table.metadata.tables.get(columns[0].rpartition(".")[0])
    if found is None:
        return None
    candidates: list[ColumnCollectionConstraint | Index] = [found.primary_key]
    candidates += [entry for entry in found.constraints if isinstance(entry, UniqueConstraint)]
    candidates += [index for index in found.indexes if index.unique]
    for candidate in candidates:
        if sorted(f"{found.name}.{column.name}" for column in candidate.columns) == wanted:
            return _text(candidate.name)
    return None


def _foreign_keys(table: Table, deletes: bool) -> Iterator[str | None]:
    """Those that a statement can violate: the table's own, or, when rows go away, those that lead to it."""
    for holder in table.metadata.tables.values() if deletes else (table,):
        for constraint in holder.foreign_key_constraints:
            if not deletes or constraint.referred_table.name == table.name:
                yield _text(constraint.name)


def _text(name: object) -> str | None:
    return str(name) if isinstance(name, str) else None
