"""What goes in and out."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from powerstrip import ExportSource
from powerstrip_exports.domain import Compression, Format


class ExportOptions(BaseModel):
    """How an export is written."""

    model_config = ConfigDict(extra="forbid")

    format: Format = Format.CSV
    columns: Annotated[str, StringConstraints(max_length=10_000)] | None = Field(
        default=None, description="Names of columns, with commas between them, in the order that they are wanted in."
    )
    bom: bool = Field(default=False, description="Begin CSV with a byte order mark: Excel needs it to see UTF-8.")
    compression: Compression = Field(default=Compression.NONE, description="Pack the file itself: `users.csv.gz`.")

    @property
    def column_names(self) -> list[str] | None:
        """The wanted columns, each once; None for all."""
        if self.columns is None:
            return None
        return list(dict.fromkeys(name.strip() for name in self.columns.split(",") if name.strip())) or None


class ColumnResponse(BaseModel):
    """A column of a source."""

    name: str
    type: str
    title: str
    masked: bool = Field(description="Whether the caller gets it empty.")


class SourceResponse(BaseModel):
    """Something that can be exported."""

    name: str = Field(examples=["users"])
    title: str
    permission: str = Field(examples=["users:read"])
    columns: list[ColumnResponse]
    formats: list[Format]
    filters: dict[str, Any] = Field(description="JSON Schema of the filters.")
    href: str = Field(examples=["/api/v1/exports/users"])

    @classmethod
    def of(cls, source: ExportSource, masked: frozenset[str], formats: list[Format], href: str) -> "SourceResponse":
        return cls(
            name=source.name,
            title=source.title or source.name,
            permission=source.permission,
            columns=[
                ColumnResponse(
                    name=column.name,
                    type=column.type,
                    title=column.title or column.name,
                    masked=column.name in masked,
                )
                for column in source.columns
            ],
            formats=formats,
            filters=source.filters.model_json_schema() if source.filters else {"type": "object", "properties": {}},
            href=href,
        )


class SourceList(BaseModel):
    """What the caller may export."""

    items: list[SourceResponse]
