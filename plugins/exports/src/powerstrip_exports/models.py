"""The table of exports."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index, String, Uuid
from sqlalchemy import Enum as Choice
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip_database import UTCDateTime, metadata_for, new_id


class JobStatus(StrEnum):
    """Where a job is. From `done` on nothing changes but that its file expires."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


WAITING = (JobStatus.QUEUED, JobStatus.RUNNING)


class Table(DeclarativeBase):
    """The base of this plugin's tables."""

    metadata = metadata_for("exports")
    type_annotation_map: ClassVar = {datetime: UTCDateTime, UUID: Uuid(), dict[str, Any]: JSON, list[str]: JSON}


class Job(Table):
    """An export that becomes a file.

    `attempts` counts how often it was begun; together with `leased_until` it tells who works on it: a worker that
    finds another number has lost it. `file_key` is there from the moment on that the file is whole.
    """

    __tablename__ = "exports_jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(200))
    caller: Mapped[dict[str, Any]]
    request_id: Mapped[str | None] = mapped_column(String(200))
    client_address: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(100))
    options: Mapped[dict[str, Any]]
    filters: Mapped[dict[str, Any]]
    status: Mapped[JobStatus] = mapped_column(
        Choice(
            JobStatus,
            name="jobstatus",
            native_enum=False,
            create_constraint=True,
            length=20,
            values_callable=lambda members: [member.value for member in members],
        ),
        default=JobStatus.QUEUED,
    )
    attempts: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    total_rows: Mapped[int | None] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))
    file_key: Mapped[str | None] = mapped_column(String(100))
    file_name: Mapped[str | None] = mapped_column(String(255))
    media_type: Mapped[str | None] = mapped_column(String(100))
    error_type: Mapped[str | None] = mapped_column(String(100))
    error: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (Index(None, "status", "created_at"), Index(None, "owner", "created_at"))
