"""Values as SQLite stores them, as columns of Arrow."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it comes without types
from pyarrow import compute as pc
from pydantic_core import from_json

from powerstrip import ExportColumn
from powerstrip_exports.domain import Page, Row
from powerstrip_exports.errors import SourceError
from powerstrip_exports.forms import NULL

_INTEGERS = frozenset(("integer", "boolean"))

Values = Any
"""An array of Arrow: the bytes by which SQLite shows values, or None; numbers are numbers."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """The values of a column."""

    kind: str
    values: Values
    may_have_quotes: bool


def stored_columns(batch: Page | Sequence[Row], columns: Sequence[ExportColumn]) -> list[StoredColumn]:
    """The columns of some rows."""
    if isinstance(batch, Page):
        return [_of_list(column.type, listed, len(batch)) for column, listed in zip(columns, batch.lists, strict=True)]
    return [_of_values(column.type, values) for column, values in zip(columns, zip(*batch, strict=True), strict=True)]


def literal(text: bytes | None) -> Any:
    """A value for a whole column."""
    return pa.scalar(text, pa.binary())


def with_dashes(identifiers: Values) -> Values:
    """UUIDs, of 32 digits."""
    for at in (20, 16, 12, 8):
        identifiers = pc.binary_replace_slice(identifiers, at, at, b"-")
    return identifiers


def are_true(booleans: Values) -> Values:
    """What is stored as 0 and 1."""
    return pc.not_equal(booleans, literal(b"0"))


def typed(column: StoredColumn) -> Any:
    """The values with the type that Arrow has for them. Raises SourceError where one is of another type."""
    with _checking(column.kind):
        return _typed(column.kind, column.values)


def _typed(kind: str, values: Values) -> Any:
    match kind:
        case "text" | "json":
            return values.cast(pa.string())
        case "uuid":
            return with_dashes(values).cast(pa.string())
        case "boolean":
            return are_true(values)
        case "datetime":
            # In two steps: as it is stored, it names no zone.
            return values.cast(pa.string()).cast(pa.timestamp("us")).cast(ARROW_TYPES["datetime"])
        case "number":
            return values
        case _:
            return values.cast(pa.string()).cast(ARROW_TYPES[kind])


@contextmanager
def _checking(kind: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, pa.ArrowTypeError):
        # Without the libraries' own words, which may show the value.
        raise SourceError(f"what is stored in a column of the type '{kind}' is of another one") from None


ARROW_TYPES: MappingProxyType[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(("text", "uuid", "json"), pa.string()),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "datetime": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }
)
"""UUIDs and JSON are text, times microseconds in UTC."""


def _of_list(kind: str, listed: bytes, rows: int) -> StoredColumn:
    values = _split_integers(listed) if kind in _INTEGERS else _split_texts(listed)
    if values is None or len(values) != rows:
        written = listed.replace(b'"%b"' % NULL, b"null").decode(errors="replace")
        with _checking(kind):
            parsed = from_json(written)
        return _of_values(kind, parsed)
    return StoredColumn(kind, values, may_have_quotes=False)


def _split_integers(listed: bytes) -> Values | None:
    # Anything else is a text, a part of JSON or a number with a fraction.
    is_plain = not listed[1:-1].translate(None, b"-0123456789,nul")
    return _split(listed, 1, b",", null=b"null") if is_plain else None


def _split_texts(listed: bytes) -> Values | None:
    # Where nothing is escaped, each quote is one of the list's own.
    is_plain = b"\\" not in listed and listed[1:2] == listed[-2:-1] == b'"'
    return _split(listed, 2, b'","', null=NULL) if is_plain else None


def _split(listed: bytes, ends: int, between: bytes, *, null: bytes) -> Values:
    # An array of one text, which is not copied.
    bounds = pa.py_buffer(struct.pack("=ii", ends, len(listed) - ends))
    inside = pa.Array.from_buffers(pa.binary(), 1, [None, bounds, pa.py_buffer(listed)])
    values = pc.split_pattern(inside, pattern=between).values
    return pc.if_else(pc.equal(values, literal(null)), literal(None), values) if null in listed else values


def _of_values(kind: str, values: Sequence[Any]) -> StoredColumn:
    with _checking(kind):
        return StoredColumn(kind, _array(kind, values), may_have_quotes=True)


def _array(kind: str, values: Sequence[Any]) -> Values:
    if kind == "number":
        return pa.array(values, ARROW_TYPES[kind])
    if kind in _INTEGERS:
        return pa.array(values, pa.int64()).cast(pa.string()).cast(pa.binary())
    return pa.array([str(value) if isinstance(value, int | float) else value for value in values], pa.binary())
