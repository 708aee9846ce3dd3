"""Data that a plugin offers for export."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from powerstrip.contract.identity import Identity
from powerstrip.contract.services import Services

ColumnType = Literal["text", "integer", "number", "boolean", "datetime", "date", "uuid", "json"]


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column.

    What is `sensitive` is left empty for callers without the permission `reveal`; where no `reveal` is stated, for
    all but those who may do everything (`*`). `title` is the heading in spreadsheets.
    """

    name: str
    type: ColumnType = "text"
    title: str | None = None
    sensitive: bool = False
    reveal: str | None = None


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What is exported and for whom: `filters` is an instance of the source's model, `caller` None on the command
    line, where the operator asks."""

    services: Services
    filters: Any
    caller: Identity | None


@dataclass(frozen=True, slots=True)
class ExportSource:
    """Rows that can be exported: what a list endpoint shows, under the same permission and the same filters.

    - `query(context)` gives a SQLAlchemy `Select` whose columns are `columns`, in their order. It is read from the
      capability `database`, in one snapshot and by the fastest way that the database has. Where `filters` state
      no order, leave it out: rows come as they are stored, which is several times quicker.
    - `batches(context)` yields lists of rows instead, each a tuple in the order of `columns`, for what is in no
      table. A batch of about 500 rows suits all formats. Seeing to it that all rows are of one moment is its affair.
    - `permission` is who may read them: where it is None, as for a list that is public, everybody who is signed in.
      `filters` is the model of the query parameters; None takes none.
    - `path` is an address of the same source beside the plugin's own routes: `/users/export`.
    """

    name: str
    columns: Sequence[ExportColumn]
    permission: str | None
    batches: Callable[[ExportContext], AsyncIterator[Sequence[tuple[Any, ...]]]] | None = None
    query: Callable[[ExportContext], Any] | None = None
    filters: type[BaseModel] | None = None
    title: str | None = None
    path: str | None = None
    version: str = "v1"
