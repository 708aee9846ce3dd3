"""What writes rows in a format."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from powerstrip import ExportColumn
from powerstrip_exports.csv_format import CsvEncoder
from powerstrip_exports.domain import Format, Page, Row
from powerstrip_exports.errors import FormatNotInstalled
from powerstrip_exports.excel import ExcelEncoder
from powerstrip_exports.json_format import JsonEncoder, NdjsonEncoder

if TYPE_CHECKING:
    from powerstrip_exports.parquet import ParquetEncoder


class Encoder(Protocol):
    """Writes rows, batch by batch. It is called in threads, by one at a time.

    `stored` says that the rows are as the database keeps them, with JSON as text.
    """

    stored: bool

    def begin(self) -> bytes:
        """What comes before the first row."""
        ...

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Some rows; may hold part of them back for later."""
        ...

    def end(self) -> bytes:
        """What comes after the last row."""
        ...

    def close(self) -> None:
        """Let go of everything, whether or not `end` was reached."""
        ...


class ColumnEncoder(Protocol):
    """Likewise writes what SQLite has stored, without making objects of the values."""

    def begin(self) -> bytes: ...

    def stored_batch(self, batch: Page | Sequence[Row]) -> bytes | memoryview:
        """Some rows; in those that are no page texts are bytes."""
        ...

    def end(self) -> bytes: ...

    def close(self) -> None: ...


def encoder_for(kind: Format, columns: Sequence[ExportColumn], title: str, *, bom: bool) -> Encoder:
    """A new encoder; `title` is for formats that have one. Raises FormatNotInstalled."""
    match kind:
        case Format.CSV:
            return CsvEncoder(columns, bom=bom)
        case Format.NDJSON:
            return NdjsonEncoder(columns)
        case Format.JSON:
            return JsonEncoder(columns)
        case Format.EXCEL:
            return ExcelEncoder(columns, title)
        case Format.PARQUET:
            check_format(kind)
            return _parquet_encoder(columns)


def writes_columns(kind: Format, columns: Sequence[ExportColumn]) -> bool:
    """Whether there is an encoder of columns for a format and the types of these."""
    # Numbers have more than one form as text, of which Arrow has another one.
    is_csv = kind is Format.CSV and all(column.type != "number" for column in columns)
    return has_arrow() and (is_csv or kind is Format.PARQUET)


def column_encoder_for(kind: Format, columns: Sequence[ExportColumn], *, bom: bool) -> ColumnEncoder:
    """A new encoder of columns, where `writes_columns`."""
    if kind is Format.PARQUET:
        return _parquet_encoder(columns)
    _choose_allocator()
    # Late: an extra.
    from powerstrip_exports.arrow_csv import ArrowCsvEncoder  # noqa: PLC0415

    return ArrowCsvEncoder(columns, bom=bom)


def _parquet_encoder(columns: Sequence[ExportColumn]) -> "ParquetEncoder":
    _choose_allocator()
    # Late: an extra, which takes longer to import than all the rest.
    from powerstrip_exports.parquet import ParquetEncoder  # noqa: PLC0415

    return ParquetEncoder(columns)


def _choose_allocator() -> None:
    # Arrow looks for it while it is loaded, and has no other way to say so. The allocator that it would choose keeps
    # what its threads have let go of: a million rows would cost 45 MB, not 20. Only Arrow's wheels for this have
    # jemalloc, which gives back more than the system's does, by 15 MB.
    best = "jemalloc" if (sys.platform, platform.machine()) == ("linux", "x86_64") else "system"
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", best)


def load_libraries() -> None:
    """Import what encoders import late: else the first export that needs it waits for that."""
    for kind in installed_formats():
        encoder_for(kind, [], "", bom=False).close()
    if has_arrow():
        column_encoder_for(Format.CSV, [], bom=False)


def check_format(kind: Format) -> None:
    """Raises FormatNotInstalled when this server lacks the library for it."""
    if kind not in installed_formats():
        raise FormatNotInstalled(f"This server can't write {kind.value}.")


def has_arrow() -> bool:
    """Whether the library for it is installed."""
    return find_spec("pyarrow") is not None


def installed_formats() -> list[Format]:
    """The formats that this server can write."""
    return [kind for kind in Format if kind is not Format.PARQUET or has_arrow()]
