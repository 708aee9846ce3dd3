"""CSV of columns, which Arrow writes: no value becomes an object of Python."""

from collections.abc import Sequence
from string import ascii_letters, digits
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it comes without types
from pyarrow import compute as pc

from powerstrip import ExportColumn
from powerstrip_exports.arrow_columns import StoredColumn, Values, are_true, literal, stored_columns, with_dashes
from powerstrip_exports.csv_format import LINE_END, NUMERIC, csv_head
from powerstrip_exports.domain import Page, Row
from powerstrip_exports.formulas import RE2_PATTERN

# What most texts begin with.
_HARMLESS: Sequence[bytes | None] = (None, b"", *(character.encode() for character in ascii_letters + digits))

Part = Any
"""A column, or bytes that are the same in all lines."""


class ArrowCsvEncoder:
    """Writes columns as CSV lines."""

    def __init__(self, columns: Sequence[ExportColumn], *, bom: bool = False) -> None:
        self._columns = columns
        self._bom = bom

    def begin(self) -> bytes:
        return csv_head(self._columns, bom=self._bom)

    def stored_batch(self, batch: Page | Sequence[Row]) -> memoryview:
        parts: list[Part] = []
        for column in stored_columns(batch, self._columns):
            parts += [b",", *_cell(column)]
        lines = _joined([*parts[1:], LINE_END], of_null="replace")
        _, ends, data = lines.buffers()
        return memoryview(data)[: memoryview(ends).cast("i")[len(lines)]]

    def end(self) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing to let go of."""


def _cell(column: StoredColumn) -> list[Part]:
    if column.kind in NUMERIC:
        return [column.values]
    cell = [b'"', *_text(column), b'"']
    # What is null has no quotes either.
    return [_joined(cell, of_null="emit_null")] if column.values.null_count else cell


def _text(column: StoredColumn) -> list[Part]:
    values = column.values
    match column.kind:
        case "uuid":
            return [with_dashes(values)]
        case "boolean":
            return [pc.if_else(are_true(values), literal(b"true"), literal(b"false"))]
        case "datetime":
            whole = pc.replace_substring(values, pattern=".000000", replacement="")
            return [pc.binary_replace_slice(whole, 10, 11, b"T"), b"Z"]
        case "date":
            return [values]
        case _:
            escaped = pc.replace_substring(values, pattern='"', replacement='""') if column.may_have_quotes else values
            return [*_apostrophes(values), escaped]


def _apostrophes(texts: Values) -> list[Part]:
    """What comes before texts that a spreadsheet might take for formulas."""
    # Most columns have none, and first bytes are seen in half the time.
    if pc.all(pc.is_in(pc.binary_slice(texts, 0, 1), value_set=pa.array(_HARMLESS, pa.binary()))).as_py():
        return []
    are_formulas = pc.match_substring_regex(texts.view(pa.string()), pattern=RE2_PATTERN)
    return [pc.if_else(are_formulas, literal(b"'"), literal(b""))]


def _joined(parts: Sequence[Part], *, of_null: str) -> Any:
    """The parts of each row behind one another; what is null makes all null, or is replaced by nothing."""
    merged: list[Any] = []
    same = b""
    for part in parts:
        if isinstance(part, bytes):
            same += part
        else:
            merged += [literal(same), part]
            same = b""
    return pc.binary_join_element_wise(*merged, literal(same), literal(b""), null_handling=of_null)
