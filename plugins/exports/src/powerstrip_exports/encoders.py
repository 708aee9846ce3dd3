"""What writes rows in a format."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from powerstrip import ExportColumn
from powerstrip_exports.csv_format import CsvEncoder
from powerstrip_exports.domain import Format, Row
from powerstrip_exports.errors import FormatNotInstalled
from powerstrip_exports.excel import ExcelEncoder
from powerstrip_exports.json_format import JsonEncoder, NdjsonEncoder


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
            # Arrow looks for it while it is loaded, and has no other way to say so. The allocator that it would choose
            # keeps what its threads have let go of: a million rows would cost 45 MB, not 20.
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", _arrow_allocator())
            # Late: an extra, which takes longer to import than all the rest.
            from powerstrip_exports.parquet import ParquetEncoder  # noqa: PLC0415

            return ParquetEncoder(columns)


def _arrow_allocator() -> str:
    # Only Arrow's wheels for this have jemalloc, which gives back more than the system's does, by 15 MB.
    return "jemalloc" if (sys.platform, platform.machine()) == ("linux", "x86_64") else "system"


def load_libraries() -> None:
    """Import what encoders import late: else the first export that needs it waits for that."""
    for kind in installed_formats():
        encoder_for(kind, [], "", bom=False).close()


def check_format(kind: Format) -> None:
    """Raises FormatNotInstalled when this server lacks the library for it."""
    if kind not in installed_formats():
        raise FormatNotInstalled(f"This server can't write {kind.value}.")


def has_parquet() -> bool:
    """Whether the library for it is installed."""
    return find_spec("pyarrow") is not None


def installed_formats() -> list[Format]:
    """The formats that this server can write."""
    return [kind for kind in Format if kind is not Format.PARQUET or has_parquet()]
