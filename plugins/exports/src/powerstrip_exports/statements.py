"""The queries of sources: as they are, and so that the database itself writes CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    CHAR,
    Boolean,
    Column,
    ColumnClause,
    CompoundSelect,
    Date,
    DateTime,
    Dialect,
    Enum,
    Integer,
    Numeric,
    Over,
    Select,
    SelectBase,
    String,
    Table,
    TextClause,
    Uuid,
    func,
    null,
    select,
)
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import JSON, TypeEngine

from powerstrip import ExportColumn
from powerstrip_database import UTCDateTime
from powerstrip_exports.domain import Selection
from powerstrip_exports.errors import SourceError
from powerstrip_exports.forms import (
    CSV_ON_POSTGRESQL,
    LISTED_ON_SQLITE,
    Forms,
    date_on_postgresql,
    json_as_text,
    moment_on_postgresql,
    moment_on_sqlite,
    same,
    uuid_on_sqlite,
)

Statement = Select[Any] | CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """A source's query with the chosen columns only; the masked ones are null."""

    statement: Statement
    selection: Selection

    @property
    def chosen(self) -> list[ColumnElement[Any]]:
        """The expressions of the chosen columns. Raises SourceError when the query has not the source's columns."""
        every = list(self.statement.selected_columns)
        source = self.selection.source
        if len(every) != len(source.columns):
            raise SourceError(
                f"the query of '{source.name}' has {len(every)} columns, and its source {len(source.columns)}"
            )
        positions = zip(self.selection.positions, self.selection.columns, strict=True)
        return [null() if column.name in self.selection.masked else every[at] for at, column in positions]

    def rows(self) -> Select[Any]:
        """The statement that gives the chosen columns, named `c0` and so on."""
        return self._only([column.label(f"c{at}") for at, column in enumerate(self.chosen)])

    def stored_rows(self, *, on_sqlite: bool) -> Select[Any] | None:
        """The same, read past SQLAlchemy: values as the database has them; None where a type does not allow it."""
        return self._as_text(_STORED_ON_SQLITE if on_sqlite else _STORED_ON_POSTGRESQL)

    def count(self) -> Select[Any]:
        """The statement that counts the rows."""
        return select(func.count()).select_from(self.statement.order_by(None).subquery())

    def csv_on_postgresql(self) -> Select[Any] | None:
        """The statement whose output COPY can write, or None where a column's type does not allow it."""
        return self._as_text(CSV_ON_POSTGRESQL)

    def columns_on_sqlite(self) -> Select[Any] | None:
        """The statement that gives the number of rows, and each column as a list in JSON, or None likewise."""
        written = self._texts(LISTED_ON_SQLITE)
        return None if written is None else self._only([func.count(), *map(func.json_group_array, written)])

    def size_on_sqlite(self) -> Select[Any] | None:
        """The statement that counts the characters of texts that may be long, or None where there are none."""
        chosen = zip(self.selection.columns, self.chosen, strict=True)
        shown = [(column, cell) for column, cell in chosen if column.name not in self.selection.masked]
        lengths = [func.total(func.length(cell)) for column, cell in shown if _may_be_long(column, cell.type)]
        return self._only([reduce(add, lengths)]) if lengths else None

    def arrow_rows_on_sqlite(self) -> Select[Any] | None:
        """The statement that gives the rows just as they are stored, or None likewise."""
        return self._as_text(_AS_STORED)

    def whole_table(self) -> str | None:
        """The name of a table, where the rows are just all of its rows, in any order; else None."""
        statement = self.statement
        if not isinstance(statement, Select):
            return None
        tables = statement.get_final_froms()
        if len(tables) != 1 or not isinstance(table := tables[0], Table) or table.schema is not None:
            return None
        is_simple = str(statement).endswith(f"FROM {DefaultDialect().identifier_preparer.format_table(table)}")
        return table.name if is_simple and all(map(_is_of_one_row, self.chosen)) else None

    def _as_text(self, forms: Forms) -> Select[Any] | None:
        written = self._texts(forms)
        return None if written is None else self._only([cell.label(f"c{at}") for at, cell in enumerate(written)])

    def _texts(self, forms: Forms) -> list[ColumnElement[Any]] | None:
        cells = []
        for column, expression in zip(self.selection.columns, self.chosen, strict=True):
            form = forms.get(column.type)
            is_masked = column.name in self.selection.masked
            if form is None or not (is_masked or _is_stored_plainly(column, expression.type)):
                return None
            cells.append(expression if is_masked else form(expression))
        return cells

    def _only(self, cells: Sequence[ColumnElement[Any]]) -> Select[Any]:
        statement = self.statement
        if isinstance(statement, Select) and not str(statement).startswith("SELECT DISTINCT"):
            return statement.with_only_columns(*cells, maintain_column_froms=True)
        raise SourceError("a query with DISTINCT or UNION can't be exported: select from it as a subquery")


def _is_of_one_row(expression: ColumnElement[Any]) -> bool:
    """Whether it is made of nothing but the values of its row: a function might look at all rows."""
    return not any(
        isinstance(part, (FunctionElement, Over, SelectBase, TextClause, ColumnClause)) and not isinstance(part, Column)
        for part in iterate(expression)
    )


def _may_be_long(column: ExportColumn, kind: TypeEngine[Any]) -> bool:
    return column.type in ("text", "json") and getattr(kind, "length", None) is None


def _is_stored_plainly(column: ExportColumn, kind: TypeEngine[Any]) -> bool:
    """Whether what the database stores is what Python would get to see."""
    if isinstance(kind, Enum):
        members: Any = kind.enum_class
        return column.type == "text" and (members is None or kind.enums == [member.value for member in members])
    # Of what decorates a type only this one is known to store what it shows; functions of PostgreSQL lose the spaces
    # that CHAR ends with.
    return isinstance(kind, _PLAIN.get(column.type, ())) and not isinstance(kind, (DateTime, CHAR))


_PLAIN: MappingProxyType[str, tuple[type[TypeEngine[Any]], ...]] = MappingProxyType(
    {
        "text": (String,),
        "integer": (Integer,),
        "number": (Numeric, Integer),
        "boolean": (Boolean,),
        "datetime": (UTCDateTime,),
        "date": (Date,),
        "uuid": (Uuid,),
        "json": (JSON,),
    }
)


# PostgreSQL's driver would parse JSON.
_AS_STORED: Forms = MappingProxyType({**dict.fromkeys(_PLAIN, same), "json": json_as_text})
_STORED_ON_POSTGRESQL: Forms = MappingProxyType(
    {**_AS_STORED, "datetime": moment_on_postgresql, "date": date_on_postgresql}
)
_STORED_ON_SQLITE: Forms = MappingProxyType({**_AS_STORED, "datetime": moment_on_sqlite, "uuid": uuid_on_sqlite})


def compiled_for(statement: Select[Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """The statement's text, and the values of its placeholders in their order, as the driver takes them."""
    compiled: Any = statement.compile(dialect=dialect)
    # A list of values has one placeholder for each of them, which SQLAlchemy adds only here.
    expanded = compiled.construct_expanded_state()
    arguments = []
    for name in expanded.positiontup or ():
        value, bound = expanded.parameters[name], compiled.binds.get(name)
        if bound is None:
            processor = expanded.processors.get(name)
        else:
            processor = bound.type.dialect_impl(dialect).bind_processor(dialect)
        arguments.append(processor(value) if processor else value)
    return expanded.statement, arguments
