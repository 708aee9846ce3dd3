"""Excel workbooks (ECMA-376), written from front to back in constant memory.

Values keep their types: numbers, booleans and dates are such, all text is text and never a formula or a link.
"""

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any

from powerstrip import ExportColumn
from powerstrip_exports import excel_parts as parts
from powerstrip_exports.cells import columns_of
from powerstrip_exports.domain import Row

MOST_ROWS = 1_048_576
# An entry of the archive must stay below 4 GiB, and Excel itself gives up long before.
_MOST_BYTES = 3 << 30
_LONGEST_TEXT = 32_767
_CUT = "…(cut)"
_MOST_DIGITS = 15
_EPOCH = 693_594  # the ordinal of 1899-12-30
# Excel takes 1900 for a leap year: before March its days are one off, and before 1900 it has none.
_FIRST_DAY = 61
_CAREFUL = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]|^ | $|_x[0-9A-Fa-f]{4}_")
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_FASTEST = 1

Write = Callable[[Any], str]


class ExcelEncoder:
    """Writes rows into sheets, each with its header frozen and a filter on it."""

    def __init__(self, columns: Sequence[ExportColumn], title: str, *, rows_per_sheet: int = MOST_ROWS) -> None:
        """`rows_per_sheet` counts the header."""
        self.stored = False
        self._columns = columns
        self._title = parts.sheet_title(title)
        self._most = rows_per_sheet
        self._sink = _Sink()
        self._archive = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_FASTEST)  # type: ignore[call-overload]
        self._sheet: Any = None
        self._rows_of_sheets: list[int] = []
        self._bytes = 0
        days = lru_cache(4_096)(_day)
        moment, day = (lambda text: _moment(text, days)), (lambda text: _date(text, days))
        forms: Mapping[str, Write] = {**_FORMS, "datetime": moment, "date": day}
        self._writes = [forms[column.type] for column in columns]

    def begin(self) -> bytes:
        self._archive.writestr("_rels/.rels", parts.PACKAGE_RELATIONS)
        self._archive.writestr("xl/styles.xml", parts.STYLES)
        self._open_sheet()
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        if not rows:
            return b""
        cells = [
            ["<c/>" if cell is None else write(cell) for cell in column]
            for write, column in zip(self._writes, columns_of(rows, self._columns, stored=self.stored), strict=True)
        ]
        lines = list(map("".join, zip(*cells, strict=True)))
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
        self._sheet.write(parts.sheet_head([column.type for column in self._columns]))
        self._write_lines(["".join(parts.heading(escaped(column.title or column.name)) for column in self._columns)])

    def _close_sheet(self) -> None:
        self._sheet.write(parts.sheet_foot(self._rows_of_sheets[-1], len(self._columns)))
        self._sheet.close()

    def _write_lines(self, lines: Sequence[str]) -> None:
        written = ("<row>" + "</row><row>".join(lines) + "</row>").encode(errors="replace")
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


def escaped(text: str) -> str:
    """A text as XML's characters, those that XML has none for as `_x0001_` (ECMA-376 part 1, 22.9.2.19)."""
    text = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        text = text[: _LONGEST_TEXT - len(_CUT)] + _CUT
    if _CAREFUL.search(text):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escaped(text)}</t></is></c>'
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


def _boolean(value: Any) -> str:
    return '<c t="b"><v>1</v></c>' if value else '<c t="b"><v>0</v></c>'


def _integer(value: int) -> str:
    # A cell's number is a double: longer ones would end in zeros.
    return f"<c><v>{value}</v></c>" if -(10**_MOST_DIGITS) < value < 10**_MOST_DIGITS else _text(str(value))


def _number(value: Any) -> str:
    if isinstance(value, int):
        return _integer(value)
    is_exact = isinstance(value, float) or len(Decimal(value).as_tuple().digits) <= _MOST_DIGITS
    return f"<c><v>{value}</v></c>" if isfinite(value) and is_exact else _text(str(value))


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH


def _date(text: str, day_of: Callable[[str], int]) -> str:
    day = day_of(text)
    return f'<c s="2"><v>{day}</v></c>' if day >= _FIRST_DAY else _text(text)


def _moment(text: str, day_of: Callable[[str], int]) -> str:
    day = day_of(text[:10])
    if day < _FIRST_DAY:
        return _text(text)
    seconds = int(text[11:13]) * 3_600 + int(text[14:16]) * 60 + float(text[17:-1])
    return f'<c s="1"><v>{day + seconds / 86_400:.10f}</v></c>'


_FORMS: Mapping[str, Write] = MappingProxyType(
    {"text": _text, "json": _text, "uuid": _text, "boolean": _boolean, "integer": _integer, "number": _number}
)
