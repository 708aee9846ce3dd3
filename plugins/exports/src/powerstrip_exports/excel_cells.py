"""Cells of Excel's sheets, written a column of a batch at a time.

Values keep their types: numbers, booleans and dates are such, all text is text and never a formula or a link.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import repeat
from math import isfinite
from types import MappingProxyType
from typing import Any

Column = Sequence[Any]
# The form of a column's cells, and what each has in the place of `%s`.
Written = tuple[str, Sequence[str]]

_NONE = "<c/>"
_AS_IT_IS = "%s"
_LONGEST_TEXT = 32_767
_CUT = "…(cut)"
_MOST_DIGITS = 15
_TOO_LARGE = 10**_MOST_DIGITS
_ZERO = datetime(1899, 12, 30, tzinfo=UTC)
# Excel takes 1900 for a leap year: before March its days are one off, and before 1900 it has none.
_FIRST_DAY = "1900-03-01"
_CAREFUL = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]|^ | $|_x[0-9A-Fa-f]{4}_")
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_BETWEEN = "¦"
_PLAIN_TEXT = '<c t="inlineStr"><is><t>%s</t></is></c>'
_NUMBER = "<c><v>%s</v></c>"


def rows_of(kinds: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """The rows of a sheet. What their cells have in common is put between their own parts once for all rows."""
    pieces: list[Iterable[str]] = []
    between = "<row>"
    for kind, values in zip(kinds, columns, strict=True):
        form, parts = _cells_of(kind, values)
        before, _, after = form.partition(_AS_IT_IS)
        pieces += [repeat(between + before), parts]
        between = after
    return list(map("".join, zip(*pieces, repeat(between + "</row>"), strict=False)))


def _cells_of(kind: str, values: Column) -> Written:
    write = _FORMS[kind]
    if None not in values:
        return write(values)
    present = [value for value in values if value is not None]
    if not present:
        return _AS_IT_IS, [_NONE] * len(values)
    form, parts = write(present)
    cells = map(form.__mod__, parts)
    return _AS_IT_IS, [_NONE if value is None else next(cells) for value in values]


def escaped(text: str) -> str:
    """A text as XML's characters, those that XML has none for as `_x0001_` (ECMA-376 part 1, 22.9.2.19)."""
    text = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _texts(values: Column) -> Written:
    if _are_plain(_BETWEEN.join(values)):
        return _PLAIN_TEXT, values
    return _AS_IT_IS, [_text(text) for text in values]


def _are_plain(texts: str) -> bool:
    """Whether `_text` would find nothing to do in any of the texts. Most are so, and all at once are soon looked at."""
    return (
        len(texts) <= _LONGEST_TEXT
        and texts.isprintable()
        and "&" not in texts
        and "<" not in texts
        and ">" not in texts
        and "_x" not in texts
        and f" {_BETWEEN}" not in texts
        and f"{_BETWEEN} " not in texts
        and texts.strip(" ") == texts
    )


def _text(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        text = text[: _LONGEST_TEXT - len(_CUT)] + _CUT
    if _CAREFUL.search(text):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escaped(text)}</t></is></c>'
    return _PLAIN_TEXT % text


def _booleans(values: Column) -> Written:
    return '<c t="b"><v>%s</v></c>', ["1" if value else "0" for value in values]


def _integers(values: Column) -> Written:
    # A cell's number is a double: longer ones would end in zeros.
    if min(values) > -_TOO_LARGE and max(values) < _TOO_LARGE:
        return _NUMBER, [str(value) for value in values]
    return _AS_IT_IS, [_number(value) for value in values]


def _numbers(values: Column) -> Written:
    return _AS_IT_IS, [_number(value) for value in values]


def _number(value: Any) -> str:
    if isinstance(value, int):
        is_exact = -_TOO_LARGE < value < _TOO_LARGE
    else:
        is_exact = isinstance(value, float) or len(Decimal(value).as_tuple().digits) <= _MOST_DIGITS
    return _NUMBER % value if is_exact and isfinite(value) else _text(str(value))


def _moments(values: Column) -> Written:
    return _days(values, '<c s="1"><v>%s</v></c>', _numbers_of_moments)


def _dates(values: Column) -> Written:
    return _days(values, '<c s="2"><v>%s</v></c>', _numbers_of_dates)


def _days(values: Column, form: str, numbers_of: Callable[[Column], list[str]]) -> Written:
    if min(values) >= _FIRST_DAY:
        return form, numbers_of(values)
    return _AS_IT_IS, [form % numbers_of([text])[0] if text >= _FIRST_DAY else _text(text) for text in values]


def _numbers_of_moments(texts: Column) -> list[str]:
    days = [datetime.fromisoformat(text) - _ZERO for text in texts]
    # With twelve digits after the point, finer than a double, by integers: floating point would take twice as long.
    return [f"{day.days}.{(day.seconds * 1_000_000 + day.microseconds) * 625 // 54:012d}" for day in days]


def _numbers_of_dates(texts: Column) -> list[str]:
    zero = _ZERO.toordinal()
    return [str(date.fromisoformat(text).toordinal() - zero) for text in texts]


_FORMS: Mapping[str, Callable[[Column], Written]] = MappingProxyType(
    {
        "text": _texts,
        "json": _texts,
        "uuid": _texts,
        "boolean": _booleans,
        "integer": _integers,
        "number": _numbers,
        "datetime": _moments,
        "date": _dates,
    }
)
