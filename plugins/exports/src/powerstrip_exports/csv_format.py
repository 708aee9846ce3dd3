"""CSV (RFC 4180): every value but numbers is quoted, what is null is empty, lines end with CR and LF.

So nothing in a file depends on which values happen to hold a comma, and an empty text differs from none.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from powerstrip import ExportColumn
from powerstrip_exports.cells import columns_of
from powerstrip_exports.domain import Row
from powerstrip_exports.formulas import guarded

BOM = "\ufeff".encode()
LINE_END = b"\r\n"
NUMERIC = frozenset(("integer", "number"))


def csv_head(columns: Sequence[ExportColumn], *, bom: bool) -> bytes:
    """What comes before all rows: the columns' names."""
    return (BOM if bom else b"") + ",".join(_quoted_text(column.name) for column in columns).encode() + LINE_END


class CsvEncoder:
    """Writes rows as CSV lines."""

    def __init__(self, columns: Sequence[ExportColumn], *, bom: bool = False) -> None:
        self.stored = False
        self._columns = columns
        self._bom = bom

    def begin(self) -> bytes:
        return csv_head(self._columns, bom=self._bom)

    def rows(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        columns = columns_of(rows, self._columns, stored=self.stored)
        written = [
            ["" if cell is None else write(cell) for cell in cells]
            for write, cells in zip([_WRITERS[column.type] for column in self._columns], columns, strict=True)
        ]
        lines = map(",".join, zip(*written, strict=True))
        return ("\r\n".join(lines) + "\r\n").encode(errors="replace")

    def end(self) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing to let go of."""


def _quoted_text(text: str) -> str:
    text = guarded(text)
    return '"' + (text.replace('"', '""') if '"' in text else text) + '"'


def _quoted(text: str) -> str:
    return f'"{text}"'


def _boolean(value: Any) -> str:
    return '"true"' if value else '"false"'


_WRITERS: MappingProxyType[str, Callable[[Any], str]] = MappingProxyType(
    {
        "text": _quoted_text,
        "json": _quoted_text,
        "uuid": _quoted,
        "date": _quoted,
        "datetime": _quoted,
        "boolean": _boolean,
        "integer": str,
        "number": str,
    }
)
