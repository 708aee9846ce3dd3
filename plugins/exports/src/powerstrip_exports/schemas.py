"""What goes in and out."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from powerstrip import ExportSource
from powerstrip_exports.domain import Compression, Format
from powerstrip_exports.models import Job, JobStatus
from powerstrip_exports.progress import progress_of


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


class JobRequest(BaseModel):
    """An export that shall become a file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"source": "users", "format": "excel", "filters": {"role": "user"}}]},
    )

    source: Annotated[str, StringConstraints(max_length=100)] = Field(examples=["users"])
    format: Format = Format.CSV
    columns: Annotated[list[str], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="Names of columns in the order that they are wanted in; all of them by default."
    )
    filters: dict[str, Any] = Field(default={}, description="The source's own filters, as the query has them.")
    bom: bool = Field(default=False, description="Begin CSV with a byte order mark: Excel needs it to see UTF-8.")
    compression: Compression = Field(default=Compression.NONE, description="Pack the file itself: `users.csv.gz`.")

    @field_validator("columns")
    @classmethod
    def _each_once(cls, names: list[str] | None) -> list[str] | None:
        return list(dict.fromkeys(names)) if names else names


class JobResponse(BaseModel):
    """A job, and how far it is."""

    id: UUID
    source: str
    format: Format
    compression: Compression
    status: JobStatus
    rows: int
    total_rows: int | None = Field(description="How many there will be, once they have been counted.")
    percent: float | None
    seconds_left: float | None = Field(description="About how long it still takes.")
    bytes: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="Until when the file can be fetched.")
    sha256: str | None = Field(description="Of the whole file, in hexadecimal.")
    file: str | None = Field(description="Address of the file, once it is whole.")
    file_name: str | None
    error: dict[str, str] | None = Field(description="Why it failed: `type` and `message`.")
    requested_by: str

    @classmethod
    def of(cls, job: Job, now: datetime, href: str) -> "JobResponse":
        """`href` is the job's own address."""
        progress = progress_of(job, now)
        return cls(
            id=job.id,
            source=job.source,
            format=job.options["format"],
            compression=job.options["compression"],
            status=job.status,
            rows=job.rows,
            total_rows=job.total_rows,
            percent=progress["percent"],
            seconds_left=progress["seconds_left"],
            bytes=job.bytes,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            expires_at=job.expires_at,
            sha256=job.sha256,
            file=f"{href}/file" if job.status is JobStatus.DONE else None,
            file_name=job.file_name,
            error={"type": job.error_type, "message": job.error or ""} if job.error_type else None,
            requested_by=str(job.caller["name"] or job.owner),
        )


class JobList(BaseModel):
    """Jobs, the newest first."""

    items: list[JobResponse]


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
    permission: str | None = Field(
        description="What is needed to read it; null where signing in does.", examples=["users:read"]
    )
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
