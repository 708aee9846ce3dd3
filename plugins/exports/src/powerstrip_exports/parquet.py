"""Parquet, by pyarrow."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it comes without types
from pyarrow import csv
from pyarrow import parquet as pq

from powerstrip import ExportColumn
from powerstrip_exports.arrow_columns import ARROW_TYPES, stored_columns, typed
from powerstrip_exports.cells import columns_of
from powerstrip_exports.domain import Page, Row

# Rows of a group, which is what is in memory at a time.
_GROUP = 16 * 1024
# Bytes of a column's different values. Where there are more, the values are written as they are: by default that would
# take until a megabyte, in files that are larger for it and take longer.
_DICTIONARY = 8 * 1024


class ParquetEncoder:
    """Writes groups of rows, with the types of the columns."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self.stored = False
        self._columns = columns
        self._schema = schema_of(columns)
        self._buffer = GrowingFile()
        self._writer = pq.ParquetWriter(
            self._buffer,
            self._schema,
            compression="zstd",
            use_dictionary=[column.name for column in columns if column.type == "text"],
            dictionary_pagesize_limit=_DICTIONARY,
        )
        self._waiting: list[Any] = []
        self._rows = 0

    def begin(self) -> bytes:
        return self._buffer.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        if rows:
            cells = columns_of(rows, self._columns, stored=self.stored)
            arrays = [
                _array(column.type, values, field.type)
                for column, values, field in zip(self._columns, cells, self._schema, strict=True)
            ]
            self._add(pa.record_batch(arrays, schema=self._schema))
        return self._buffer.take()

    def stored_batch(self, batch: Page | Sequence[Row]) -> bytes:
        arrays = [typed(column) for column in stored_columns(batch, self._columns)]
        self._add(pa.record_batch(arrays, schema=self._schema))
        return self._buffer.take()

    def csv(self, page: bytes) -> tuple[int, bytes]:
        """Some rows as the database writes them; gives how many they are, too."""
        table = csv.read_csv(
            pa.BufferReader(page),
            read_options=csv.ReadOptions(column_names=self._schema.names, use_threads=False, block_size=len(page) + 1),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t", "true"],
                false_values=["f", "false"],
            ),
        )
        for batch in table.to_batches():
            self._add(batch)
        return table.num_rows, self._buffer.take()

    def _add(self, batch: Any) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= _GROUP:
            self._write()

    def end(self) -> bytes:
        self._write()
        self._writer.close()
        return self._buffer.take()

    def close(self) -> None:
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting, self._rows = [], 0


class GrowingFile:
    """A file that can only be written to, and is taken away as it grows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def schema_of(columns: Sequence[ExportColumn]) -> Any:
    """Arrow's types of the columns."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])


def _array(kind: str, cells: Sequence[Any], arrow_type: Any) -> Any:
    read = _VALUES.get(kind)
    values = cells if read is None else [None if cell is None else read(cell) for cell in cells]
    return pa.array(values, type=arrow_type)


_VALUES: MappingProxyType[str, Callable[[Any], Any]] = MappingProxyType(
    {"number": float, "datetime": datetime.fromisoformat, "date": date.fromisoformat}
)
