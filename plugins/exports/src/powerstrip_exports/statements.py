"""The queries of sources: as they are, and so that the database itself writes CSV."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Boolean,
    CompoundSelect,
    Date,
    DateTime,
    Dialect,
    Enum,
    Integer,
    Numeric,
    Select,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import JSON, TypeEngine

from powerstrip import ExportColumn
from powerstrip_database import UTCDateTime
from powerstrip_exports.domain import Selection
from powerstrip_exports.errors import SourceError

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
        return self._as_text(_ON_POSTGRESQL)

    def csv_on_sqlite(self) -> Select[Any] | None:
        """The statement that gives each row as a JSON array of texts and integers, or None likewise."""
        if len(self.selection.columns) > _MOST_ARGUMENTS:
            return None
        written = self._texts(_ON_SQLITE)
        if written is None:
            return None
        absent = literal(NULL)
        return self._only([func.json_array(*(func.ifnull(cell, absent) for cell in written))])

    def _as_text(self, forms: "Forms") -> Select[Any] | None:
        written = self._texts(forms)
        return None if written is None else self._only([cell.label(f"c{at}") for at, cell in enumerate(written)])

    def _texts(self, forms: "Forms") -> list[ColumnElement[Any]] | None:
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


Forms = MappingProxyType[str, Callable[[ColumnElement[Any]], ColumnElement[Any]]]

NULL = "\x1c(null)"
"""Stands for null in JSON arrays. A text that is just this becomes null."""

_MOST_ARGUMENTS = 100  # of a function in SQLite


def _is_stored_plainly(column: ExportColumn, kind: TypeEngine[Any]) -> bool:
    """Whether what the database stores is what Python would get to see."""
    if isinstance(kind, Enum):
        members: Any = kind.enum_class
        return column.type == "text" and (members is None or kind.enums == [member.value for member in members])
    # Of what decorates a type only this one is known to store what it shows.
    return isinstance(kind, _PLAIN.get(column.type, ())) and not isinstance(kind, DateTime)


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


def _same(cell: ColumnElement[Any]) -> ColumnElement[Any]:
    return cell


def _as_boolean_word(cell: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((cell.is_(None), None), (cell, literal_column("'true'")), else_=literal_column("'false'"))


def _moment_on_postgresql(cell: ColumnElement[Any]) -> ColumnElement[Any]:
    # The session's zone is UTC.
    written = func.to_char(cell, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    return func.replace(written, literal_column("'.000000'"), literal_column("''"))


def _moment_on_sqlite(cell: ColumnElement[Any]) -> ColumnElement[Any]:
    # Stored as `2026-11-26 08:30:00.500000`, always with a fraction.
    whole = func.replace(cell, literal_column("'.000000'"), literal_column("''"))
    return func.replace(whole, literal_column("' '"), literal_column("'T'")).concat(literal_column("'Z'"))


def _uuid_on_sqlite(cell: ColumnElement[Any]) -> ColumnElement[Any]:
    # Stored as 32 digits.
    rests = [func.substr(cell, literal_column(str(at))) for at in (9, 13, 17, 21)]
    written = func.printf(literal_column("'%.8s-%.4s-%.4s-%.4s-%s'"), cell, *rests)
    return case((cell.is_(None), None), else_=written)


_ON_POSTGRESQL: Forms = MappingProxyType(
    {
        "text": _same,
        "integer": _same,
        "boolean": _as_boolean_word,
        "datetime": _moment_on_postgresql,
        "date": _same,
        "uuid": _same,
        "json": _same,
    }
)
_ON_SQLITE: Forms = MappingProxyType(
    {
        "text": _same,
        "integer": _same,
        "boolean": _as_boolean_word,
        "datetime": _moment_on_sqlite,
        "date": _same,
        "uuid": _uuid_on_sqlite,
        "json": _same,
    }
)

_STORED_ON_POSTGRESQL: Forms = MappingProxyType(
    {**dict.fromkeys(_PLAIN, _same), "json": lambda cell: cast(cell, Text)}  # the driver would parse it
)
_STORED_ON_SQLITE: Forms = MappingProxyType(
    {**dict.fromkeys(_PLAIN, _same), "datetime": _moment_on_sqlite, "uuid": _uuid_on_sqlite}
)


def compiled_for(statement: Select[Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """The statement's text, and the values of its placeholders in their order, as the driver takes them."""
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    arguments = []
    for name in compiled.positiontup or ():
        processor = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
        arguments.append(processor(values[name]) if processor else values[name])
    return str(compiled), arguments
