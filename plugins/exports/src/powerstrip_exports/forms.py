"""What makes the databases write values as the encoders do, formulas guarded."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Enum, Text, case, cast, func, literal_column, type_coerce
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.sql.elements import ColumnElement

from powerstrip_exports.formulas import POSTGRESQL_PATTERN, is_formula

Cell = ColumnElement[Any]
Forms = MappingProxyType[str, Callable[[Cell], Cell]]


def same(cell: Cell) -> Cell:
    """The value as it is stored."""
    return cell


def as_text(cell: Cell) -> Cell:
    """The value as the database shows it."""
    return cast(cell, Text)


def json_as_text(cell: Cell) -> Cell:
    """JSON, and missing where it is null, as Python shows it."""
    return func.nullif(as_text(cell), literal_column("'null'"))


def date_on_postgresql(cell: Cell) -> Cell:
    """The value, of which the driver has made an infinity where it was Python's first or last one."""
    return _finite(cell, "date '0001-01-01'", "date '9999-12-31'")


def moment_on_postgresql(cell: Cell) -> Cell:
    """Likewise."""
    return _finite(cell, "timestamptz '0001-01-01 00:00:00Z'", "timestamptz '9999-12-31 23:59:59.999999Z'")


def _finite(cell: Cell, first: str, last: str) -> Cell:
    infinities: dict[Cell, Cell] = {
        literal_column("'-infinity'"): literal_column(first),
        literal_column("'infinity'"): literal_column(last),
    }
    return case(infinities, value=cell, else_=cell)


def _text_on_postgresql(cell: Cell) -> Cell:
    if _is_harmless(cell):
        return cell
    # A type of its own in the database is no text there.
    return _guarded_on_postgresql(cell, as_text(cell) if isinstance(cell.type, Enum) else cell)


def _json_on_postgresql(cell: Cell) -> Cell:
    return _guarded_on_postgresql(cell, json_as_text(cell))


def _guarded_on_postgresql(cell: Cell, text: Cell) -> Cell:
    pattern: Cell = literal_column("'" + POSTGRESQL_PATTERN.replace("'", "''") + "'")
    careful = func.regexp_replace(text.collate("C"), pattern, literal_column(r"'''\1'"))
    if not isinstance(cell, Column):
        return careful  # what is computed is computed once: another time it might be something else
    # Most texts begin with a letter: their first byte, which is negative outside ASCII, costs a tenth of the pattern to
    # see. What looks like a byte, `\053`, is taken for one, and begins with no sign all the same.
    byte = func.pg_catalog.int4(func.pg_catalog.char(text))
    first = func.ascii(text)
    return case(
        (byte > _code_of("@"), text),
        (first == _code_of("+"), literal_column("''''").concat(text)),
        (first.between(_code_of("0"), _code_of("9")), text),
        else_=careful,
    )


def _code_of(character: str) -> Cell:
    return literal_column(str(ord(character)))


def _is_harmless(cell: Cell) -> bool:
    """Whether a constraint of the table allows only values that are no formulas."""
    kind: Any = cell.type
    is_constrained = isinstance(kind, Enum) and isinstance(cell, Column) and kind.create_constraint
    return is_constrained and not any(map(is_formula, kind.enums))


def _written_moment_on_postgresql(cell: Cell) -> Cell:
    # The session's zone is UTC.
    written = func.to_char(moment_on_postgresql(cell), literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
    careful = func.replace(written, literal_column("'.000000'"), literal_column("''"))
    if not isinstance(cell, Column):
        return careful
    # As text, a fraction of a second has no zeros at its end: where there is at most one, it is twice as quick. A zone
    # that is a distance need not be looked up for each value.
    text = cast(func.timezone(literal_column("interval '0'"), cell), Text)
    quick = _with_t(text)
    return case(
        (_rounded(cell, 5) != cell, quick.concat(literal_column("'Z'"))),
        (_rounded(cell, 4) != cell, quick.concat(literal_column("'0Z'"))),
        else_=careful,
    )


def _rounded(cell: Cell, digits: int) -> Cell:
    return cast(cell, TIMESTAMP(timezone=True, precision=digits))


def _boolean_on_postgresql(cell: Cell) -> Cell:
    written: dict[Cell, Cell] = {literal_column(word): literal_column(f"'{word}'") for word in ("true", "false")}
    return case(written, value=cell)


def moment_on_sqlite(cell: Cell) -> Cell:
    """RFC 3339, of what is stored as `2026-11-26 08:30:00.500000`, always with a fraction."""
    whole = func.replace(cell, literal_column("'.000000'"), literal_column("''"))
    return _with_t(whole).concat(literal_column("'Z'"))


def _with_t(cell: Cell) -> Cell:
    return func.replace(cell, literal_column("' '"), literal_column("'T'"))


def uuid_on_sqlite(cell: Cell) -> Cell:
    """A UUID with its dashes, of what is stored as 32 digits."""
    rests = [func.substr(cell, literal_column(str(at))) for at in (9, 13, 17, 21)]
    written = func.printf(literal_column("'%.8s-%.4s-%.4s-%.4s-%s'"), cell, *rests)
    return case((cell.is_(None), None), else_=written)


def _listed_text_on_sqlite(cell: Cell) -> Cell:
    text: Cell = type_coerce(cell, Text)
    if isinstance(cell, Column):
        return _or_null(text) if cell.nullable else text
    return _or_null(_no_json(text))


def _listed_json_on_sqlite(cell: Cell) -> Cell:
    text = json_as_text(cell)
    return _or_null(text if isinstance(cell, Column) else _no_json(text))


def _no_json(text: Cell) -> Cell:
    # What SQLite's JSON functions give would be part of a list as it is, even after a CAST.
    return text.concat(literal_column("''"))


def _or_null(text: Cell) -> Cell:
    return func.ifnull(text, cast(literal_column(f"x'{NULL.hex()}'"), Text))


NULL = b"\xfe"
"""Stands for a missing text in lists from SQLite: no UTF-8 holds this byte, so no value does."""

CSV_ON_POSTGRESQL: Forms = MappingProxyType(
    {
        "text": _text_on_postgresql,
        "integer": same,
        "boolean": _boolean_on_postgresql,
        "datetime": _written_moment_on_postgresql,
        "date": date_on_postgresql,
        "uuid": same,
        "json": _json_on_postgresql,
    }
)
LISTED_ON_SQLITE: Forms = MappingProxyType(
    {
        **dict.fromkeys(("text", "uuid", "date", "datetime"), _listed_text_on_sqlite),
        **dict.fromkeys(("integer", "boolean"), same),
        "json": _listed_json_on_sqlite,
    }
)
