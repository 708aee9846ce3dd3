"""Excel workbooks (ECMA-376), written from front to back in constant memory."""

import zipfile
from collections.abc import Sequence
from typing import Any

from powerstrip import ExportColumn
from powerstrip_exports import excel_parts as parts
from powerstrip_exports.cells import columns_of
from powerstrip_exports.domain import Row
from powerstrip_exports.excel_cells import escaped, rows_of

MOST_ROWS = 1_048_576
# An entry of the archive must stay below 4 GiB, and Excel itself gives up long before.
_MOST_BYTES = 3 << 30
_FASTEST = 1


class ExcelEncoder:
    """Writes rows into sheets, each with its header frozen and a filter on it."""

    def __init__(self, columns: Sequence[ExportColumn], title: str, *, rows_per_sheet: int = MOST_ROWS) -> None:
        """`rows_per_sheet` counts the header."""
        self.stored = False
        self._columns = columns
        self._types = [column.type for column in columns]
        self._title = parts.sheet_title(title)
        self._most = rows_per_sheet
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_FASTEST)  # type: ignore[call-overload]
        self._sheet: Any = None
        self._rows_of_sheets: list[int] = []
        self._bytes = 0

    def begin(self) -> bytes:
        self._archive.writestr("_rels/.rels", parts.PACKAGE_RELATIONS)
        self._archive.writestr("xl/styles.xml", parts.STYLES)
        self._open_sheet()
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        lines = rows_of(self._types, columns_of(rows, self._columns, stored=self.stored))
        while lines:
            if self._rows_of_sheets[-1] >= self._most or self._bytes > _MOST_BYTES:
                self._close_sheet()
                self._open_sheet()
            room = self._most - self._rows_of_sheets[-1]
            self._write_lines(lines[:room])
            lines = lines[room:]
        return self._sink.take()

    def end(self) -> bytes:
        self._close_sheet()
        titles = [self._title if not number else f"{self._title} {number + 1}" for number in range(self._sheets)]
        filters = list(zip(titles, self._rows_of_sheets, strict=True))
        self._archive.writestr("xl/workbook.xml", parts.workbook(filters, len(self._columns)))
        self._archive.writestr("xl/_rels/workbook.xml.rels", parts.workbook_relations(self._sheets))
        self._archive.writestr("[Content_Types].xml", parts.content_types(self._sheets))
        self._archive.close()
        return self._sink.take()

    def close(self) -> None:
        if self._sheet is not None:
            self._sheet.close()
        self._archive.close()

    @property
    def _sheets(self) -> int:
        return len(self._rows_of_sheets)

    def _open_sheet(self) -> None:
        self._rows_of_sheets.append(0)
        self._sheet = self._archive.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        self._bytes = 0
        self._sheet.write(parts.sheet_head(self._types))
        headings = (parts.heading(escaped(column.title or column.name)) for column in self._columns)
        self._write_lines([f"<row>{''.join(headings)}</row>"])

    def _close_sheet(self) -> None:
        self._sheet.write(parts.sheet_foot(self._rows_of_sheets[-1], len(self._columns)))
        self._sheet.close()

    def _write_lines(self, lines: Sequence[str]) -> None:
        written = "".join(lines).encode(errors="replace")
        self._rows_of_sheets[-1] += len(lines)
        self._bytes += len(written)
        self._sheet.write(written)


class _Sink:
    """A file that can only be written to, and is taken away as it grows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
