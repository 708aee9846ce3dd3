"""The tables of social.

People are known by their ids only. A foreign key to the table of users would tie the revisions of two plugins to one
another, so that neither could be updated or switched off alone.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip_database import UTCDateTime, metadata_for, new_id


class Table(DeclarativeBase):
    """The base of this plugin's tables."""

    metadata = metadata_for("social")
    type_annotation_map: ClassVar = {datetime: UTCDateTime}


class Post(Table):
    """Something that somebody wrote. Ids sort by time, so they are the order of pages too."""

    __tablename__ = "social_posts"
    __table_args__ = (Index(None, "author_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    author_id: Mapped[UUID]
    text: Mapped[str] = mapped_column(String(500))
    written_at: Mapped[datetime]


class Follow(Table):
    """Somebody who wants to see what somebody else writes."""

    __tablename__ = "social_follows"
    __table_args__ = (CheckConstraint("follower_id <> followed_id", name="not_oneself"), Index(None, "followed_id"))

    follower_id: Mapped[UUID] = mapped_column(primary_key=True)
    followed_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime]
