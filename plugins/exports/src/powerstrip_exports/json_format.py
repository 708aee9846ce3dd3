"""JSON: one array of objects, or one object a line (NDJSON)."""

from collections.abc import Iterable, Sequence

from pydantic_core import from_json, to_json

from powerstrip import ExportColumn
from powerstrip_exports.cells import columns_of
from powerstrip_exports.domain import Row


class NdjsonEncoder:
    """Writes each row as an object on a line of its own."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        self.stored = False
        self._columns = columns
        self._names = [column.name for column in columns]

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Row]) -> bytes:
        return b"".join(line + b"\n" for line in self.objects(rows))

    def end(self) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing to let go of."""

    def objects(self, rows: Sequence[Row]) -> Iterable[bytes]:
        """The rows as JSON objects."""
        if not rows:
            return
        columns = columns_of(rows, self._columns, stored=self.stored)
        for position, column in enumerate(self._columns):
            if column.type == "json":
                columns[position] = [None if cell is None else from_json(cell) for cell in columns[position]]
        for cells in zip(*columns, strict=True):
            yield to_json(dict(zip(self._names, cells, strict=True)), inf_nan_mode="null")


class JsonEncoder(NdjsonEncoder):
    """Writes one array of objects, each on a line of its own."""

    def __init__(self, columns: Sequence[ExportColumn]) -> None:
        super().__init__(columns)
        self._separator = b"\n"

    def begin(self) -> bytes:
        return b"["

    def rows(self, rows: Sequence[Row]) -> bytes:
        written = b",\n".join(self.objects(rows))
        if not written:
            return b""
        separator, self._separator = self._separator, b",\n"
        return separator + written

    def end(self) -> bytes:
        return b"\n]\n"
