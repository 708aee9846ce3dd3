"""The values of rows in the one form that all formats are written from.

A cell is None or, by the type of its column: text, json, uuid, date and datetime a `str`, integer an `int`, number an
`int`, `float` or `Decimal`, boolean a `bool`. Times are RFC 3339 in UTC, with six digits of a second where they aren't
zeros, as in all answers.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType, NoneType
from typing import Any

from powerstrip import ExportColumn
from powerstrip_exports.domain import Row
from powerstrip_exports.errors import SourceError

Cell = str | int | float | bool | None
Column = Sequence[Any]


def columns_of(rows: Sequence[Row], columns: Sequence[ExportColumn], *, stored: bool = False) -> list[Column]:
    """The rows as columns of cells. In `stored` rows JSON is text already, as the database keeps it.

    Raises SourceError when a row has not one value for each column.
    """
    if not set(map(len, rows)) <= {len(columns)}:
        raise SourceError(f"a row has not the {len(columns)} values that its columns promise")
    values = zip(*rows, strict=True)
    return [_column(column.type, of_column, stored) for column, of_column in zip(columns, values, strict=False)]


def _column(kind: str, values: Sequence[Any], stored: bool) -> Column:
    if stored and kind == "json":
        kind = "text"
    # Most columns are as they should be, which is soon seen for all values at once.
    if set(map(type, values)) <= _AS_THEY_ARE[kind]:
        return values
    form = _FORMS[kind]
    return [None if value is None else form(value) for value in values]


def rfc3339(moment: datetime) -> str:
    """A time in UTC: `2026-11-26T08:30:00Z`. One without a zone is taken for UTC."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}Z"


def _text(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    return value if type(value) is str else str(value)


def _datetime(value: Any) -> str:
    return value if isinstance(value, str) else rfc3339(value)


def _date(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _number(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


_FORMS: MappingProxyType[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "text": _text,
        "uuid": str,
        "integer": int,
        "number": _number,
        "boolean": bool,
        "datetime": _datetime,
        "date": _date,
        "json": _json,
    }
)
_AS_THEY_ARE: MappingProxyType[str, frozenset[type]] = MappingProxyType(
    {
        **dict.fromkeys(("text", "uuid", "datetime", "date"), frozenset((str, NoneType))),
        "integer": frozenset((int, NoneType)),
        "number": frozenset((int, float, Decimal, NoneType)),
        "boolean": frozenset((bool, NoneType)),
        "json": frozenset((NoneType,)),
    }
)
