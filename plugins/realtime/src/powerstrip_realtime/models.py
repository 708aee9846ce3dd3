"""The tables of realtime."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Identity, Index, Integer, String, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip_database import UTCDateTime, metadata_for, new_id

_LONGEST_AUDIENCE = 200


class Table(DeclarativeBase):
    """The base of this plugin's tables."""

    metadata = metadata_for("realtime")
    type_annotation_map: ClassVar = {datetime: UTCDateTime, UUID: Uuid(), dict[str, Any]: JSON}


class StoredNotification(Table):
    """A notification, once for all who get it: `audience` is the topic that it was published to."""

    __tablename__ = "realtime_notifications"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    audience: Mapped[str] = mapped_column(String(_LONGEST_AUDIENCE))
    kind: Mapped[str] = mapped_column(String(50))
    title: Mapped[str] = mapped_column(String(200))
    message: Mapped[str] = mapped_column(String(4_000))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index(None, "audience", "id"),
        Index(None, "created_at"),
    )


class ReadMark(Table):
    """That a user has read a notification."""

    __tablename__ = "realtime_reads"

    user_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    notification_id: Mapped[UUID] = mapped_column(
        ForeignKey("realtime_notifications.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    read_at: Mapped[datetime]


class OutboxEvent(Table):
    """An event that is published when its transaction is committed. `id` gives the order."""

    __tablename__ = "realtime_outbox"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), Identity(always=False), primary_key=True
    )
    event_id: Mapped[str] = mapped_column(String(100))
    topic: Mapped[str] = mapped_column(String(_LONGEST_AUDIENCE))
    type: Mapped[str] = mapped_column(String(100))
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    time: Mapped[datetime]
    leased_until: Mapped[datetime | None] = mapped_column(index=True)
