"""Data that a plugin offers for export."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from powerstrip.contract.services import Services

ColumnType = Literal["text", "integer", "number", "boolean", "datetime", "date", "uuid", "json"]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column: `sensitive` ones are masked for callers without `reveal` permission."""

    name: str
    type: ColumnType = "text"
    title: str | None = None
    sensitive: bool = False
    reveal: str | None = None


@dataclass(frozen=True, slots=True)
class ExportSource:
    """Rows that can be exported.

    `batches(services, filters)` yields lists of rows, each a tuple in the order of `columns`;
    `permission` is who may read them, `filters` the model of the query parameters.
    """

    name: str
    columns: Sequence[ExportColumn]
    permission: str
    batches: Callable[[Services, Any], AsyncIterator[Sequence[tuple[Any, ...]]]]
    filters: type[BaseModel] | None = None
    title: str | None = None
