from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip_database import UTCDateTime, metadata_for, new_id


class Table(DeclarativeBase):
    metadata = metadata_for("notes")
    type_annotation_map: ClassVar = {datetime: UTCDateTime}


class Note(Table):
    __tablename__ = "notes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    title: Mapped[str] = mapped_column(String(100), unique=True)
    written_at: Mapped[datetime | None]
    stars: Mapped[int] = mapped_column(default=0)

    __table_args__ = (CheckConstraint("stars >= 0", name="stars"),)


class Tag(Table):
    __tablename__ = "notes_tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    note_id: Mapped[UUID] = mapped_column(ForeignKey("notes.id"))
    place: Mapped[int]
    name: Mapped[str] = mapped_column(String(50))

    __table_args__ = (UniqueConstraint("note_id", "place"),)


Index("ix_notes_tags_lower_name", func.lower(Tag.name), unique=True)
