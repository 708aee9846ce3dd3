"""Whole columns of SQLite as CSV: of values that all have one width, all at a time."""

from dataclasses import dataclass
from types import MappingProxyType

from powerstrip_exports.forms import NULL, ROW_END
from powerstrip_exports.sqlite import BETWEEN_ROWS, unescaped

_FILLED = b"?"


@dataclass(frozen=True, slots=True)
class _Shape:
    """How values of one width are rewritten: each `?` of `form` is the character of the value at that place of
    `places`."""

    width: int
    form: bytes
    places: tuple[int, ...]

    def fits(self, column: bytes, rows: int) -> bool:
        """Whether all values have the width: then no row ends anywhere but where each should."""
        step = self.width + 1
        return len(column) == step * rows - 1 and column[self.width :: step] == ROW_END * (rows - 1)

    def written(self, column: bytes, rows: int) -> list[bytes]:
        """The values, rewritten."""
        form = self.form + ROW_END
        filled = bytearray(form * rows)
        step = self.width + 1
        targets = [at for at, character in enumerate(form) if character == _FILLED[0]]
        for source, target in zip(self.places, targets, strict=True):
            filled[target :: len(form)] = column[source::step]
        return bytes(filled[:-1]).split(ROW_END)


_MOMENT = (*range(10), *range(11, 26))
_SHAPES = MappingProxyType(
    {
        "uuid": _Shape(32, b'"????????-????-????-????-????????????"', tuple(range(32))),
        "datetime": _Shape(26, b'"??????????T???????????????Z"', _MOMENT),
    }
)
_NO_FRACTION = b'.000000Z"'


def written(kind: str, column: bytes, rows: int) -> list[bytes]:
    """The values of a column of a kind, or the rows of some JSON arrays, as CSV has them."""
    if not kind:
        return unescaped(column)[1:-1].split(BETWEEN_ROWS)
    if NULL not in column:
        return _of_one_width(kind, column, rows)
    values = column.split(ROW_END)
    present = [value for value in values if value != NULL]
    if not present:
        return [b""] * rows
    others = iter(_of_one_width(kind, ROW_END.join(present), len(present)))
    return [b"" if value == NULL else next(others) for value in values]


def _of_one_width(kind: str, column: bytes, rows: int) -> list[bytes]:
    shape = _SHAPES[kind]
    if not shape.fits(column, rows):
        return [_alone(kind, value) for value in column.split(ROW_END)]
    values = shape.written(column, rows)
    if kind == "datetime" and b".000000" in column:
        return [value.replace(_NO_FRACTION, b'Z"') for value in values]
    return values


def _alone(kind: str, value: bytes) -> bytes:
    """A value that is stored otherwise than this application stores it."""
    if kind == "datetime":
        return b'"%bZ"' % value.replace(b".000000", b"").replace(b" ", b"T")
    return b'"%b-%b-%b-%b-%b"' % (value[:8], value[8:12], value[12:16], value[16:20], value[20:])
