"""A plugin that offers things: from a table with every type of column, and out of nothing."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, Enum, Text, Uuid, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip import ExportColumn, ExportContext, ExportSource, Plugin, PluginSettings, hookimpl
from powerstrip_database import UTCDateTime, metadata_for


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Table(DeclarativeBase):
    metadata = metadata_for("things")
    type_annotation_map: ClassVar = {datetime: UTCDateTime, UUID: Uuid(), dict[str, Any]: JSON}


class Thing(Table):
    __tablename__ = "things"

    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[UUID | None]
    name: Mapped[str | None] = mapped_column(Text)
    colour: Mapped[Colour] = mapped_column(
        Enum(Colour, native_enum=False, values_callable=lambda members: [member.value for member in members])
    )
    is_new: Mapped[bool | None]
    made_at: Mapped[datetime | None]
    day: Mapped[date | None]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    secret: Mapped[str | None] = mapped_column(Text)


COLUMNS = (
    ExportColumn("number", "integer"),
    ExportColumn("key", "uuid"),
    ExportColumn("name"),
    ExportColumn("colour"),
    ExportColumn("is_new", "boolean", title="New"),
    ExportColumn("made_at", "datetime"),
    ExportColumn("day", "date"),
    ExportColumn("facts", "json"),
    ExportColumn("secret", sensitive=True, reveal="things:reveal"),
)


class ThingFilters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: Colour | None = None
    name: str | None = None
    sort: Literal["number", "-number"] = "number"


def things(context: ExportContext) -> Any:
    filters: ThingFilters = context.filters
    columns = [getattr(Thing, column.name) for column in COLUMNS]
    statement = select(*columns)
    if filters.colour is not None:
        statement = statement.where(Thing.colour == filters.colour)
    if filters.name is not None:
        statement = statement.where(Thing.name == filters.name)
    return statement.order_by(Thing.number.desc() if filters.sort == "-number" else Thing.number)


def all_things(_context: ExportContext) -> Any:
    """The whole table, in any order."""
    return select(*(getattr(Thing, column.name) for column in COLUMNS))


def thing(number: int, **values: Any) -> dict[str, Any]:
    """A row of the table."""
    usual = {
        "key": UUID(int=abs(number)),
        "name": f"thing {number}",
        "colour": Colour.RED if number % 2 else Colour.BLUE,
        "is_new": bool(number % 3),
        "made_at": datetime(2026, 11, 26, 8, 30, abs(number) % 60, 0 if number % 5 else 123_400, tzinfo=UTC),
        "day": date(2026, 11, 1 + number % 28),
        "facts": {"n": number, "text": 'a "quoted" text'},
        "secret": f"secret {number}",
    }
    return {"number": number, **usual, **values}


class CountFilters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: int = 10
    fail_after: int | None = None


async def count(context: ExportContext) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    filters: CountFilters = context.filters
    for start in range(0, filters.rows, 1_000):
        if filters.fail_after is not None and start >= filters.fail_after:
            raise RuntimeError("the source failed half-way")
        end = min(start + 1_000, filters.rows)
        yield [(n, n / 4, Decimal(n) / 8, f"row {n}") for n in range(start, end)]


class Things(Plugin[PluginSettings]):
    """Offers things."""

    requires = ("database",)

    @hookimpl
    def register_exports(self) -> Sequence[ExportSource]:
        return [
            ExportSource("things", COLUMNS, "things:read", query=things, filters=ThingFilters, path="/things/export"),
            ExportSource(
                "count",
                (
                    ExportColumn("n", "integer"),
                    ExportColumn("quarter", "number"),
                    ExportColumn("eighth", "number"),
                    ExportColumn("label"),
                ),
                "things:read",
                batches=count,
                filters=CountFilters,
                title='Zählung "1/2"\r\n数',
            ),
        ]


class AllThings(Plugin[PluginSettings]):
    """Offers the whole table, in any order."""

    requires = ("database",)

    @hookimpl
    def register_exports(self) -> Sequence[ExportSource]:
        return [ExportSource("things", COLUMNS, "things:read", query=all_things)]
