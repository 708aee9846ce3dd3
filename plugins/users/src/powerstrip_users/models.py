"""The tables of users."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, Uuid
from sqlalchemy import Enum as Choice
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from powerstrip_database import UTCDateTime, metadata_for, new_id
from powerstrip_users.domain import Role, Status


class MailStatus(StrEnum):
    """Where a mail is on its way."""

    QUEUED = "queued"
    SENT = "sent"
    ABANDONED = "abandoned"


def _choice(kind: type[StrEnum]) -> Choice:
    """A column of text that holds one of the values: its CHECK is named after the enumeration."""
    return Choice(
        kind,
        name=kind.__name__.lower(),
        native_enum=False,
        create_constraint=True,
        length=20,
        values_callable=lambda members: [member.value for member in members],
    )


class Table(DeclarativeBase):
    """The base of this plugin's tables."""

    metadata = metadata_for("users")
    type_annotation_map: ClassVar = {datetime: UTCDateTime, UUID: Uuid(), dict[str, Any]: JSON}


class User(Table):
    """An account. `version` grows with every change and is the ETag; `access_version` grows when tokens that
    were issued before have to die."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(1_024), unique=True)
    username: Mapped[str] = mapped_column(String(50))
    username_key: Mapped[str] = mapped_column(String(50), unique=True)
    full_name: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(16))
    search_text: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(String(255))
    status: Mapped[Status] = mapped_column(_choice(Status))
    role: Mapped[Role] = mapped_column(_choice(Role))
    is_verified: Mapped[bool] = mapped_column(default=False)
    last_login: Mapped[datetime | None]
    avatar_key: Mapped[str | None] = mapped_column(String(200))
    avatar_type: Mapped[str | None] = mapped_column(String(50))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column()
    access_version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy declares it for instances
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "role", "status"),
    )


class Session(Table):
    """One sign-in on one device. Ending it deletes the row; `refresh_hash` is of the one valid refresh token."""

    __tablename__ = "users_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    refresh_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    rotated_at: Mapped[datetime | None]
    client_address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(200))


class AccessChange(Table):
    """Tokens that died before they expired: those of a session, or those of a user below a version.

    It has no foreign keys: it outlives the users and sessions that it is about.
    """

    __tablename__ = "users_access_changes"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    version: Mapped[int | None]
    changed_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Table):
    """Who did what to whom: only ever added to, triggers refuse the rest."""

    __tablename__ = "users_audit"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    time: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(50))
    actor_id: Mapped[UUID | None]
    actor: Mapped[str] = mapped_column(String(254))
    target_id: Mapped[UUID | None]
    changes: Mapped[dict[str, Any]]
    request_id: Mapped[str | None] = mapped_column(String(200))
    client_address: Mapped[str] = mapped_column(String(64))

    __table_args__ = (
        Index(None, "time", "id"),
        Index(None, "target_id", "time"),
        Index(None, "actor_id", "time"),
    )


class Mail(Table):
    """A mail to be sent, stored with the change that caused it.

    `link` says which link (`verify`, `reset`) goes into it: the token is made when it is sent, so that a
    copy of this table opens no account.
    """

    __tablename__ = "users_outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    template: Mapped[str] = mapped_column(String(50))
    recipient: Mapped[str] = mapped_column(String(254))
    data: Mapped[dict[str, Any]]
    user_id: Mapped[UUID | None]
    link: Mapped[str | None] = mapped_column(String(20))
    status: Mapped[MailStatus] = mapped_column(_choice(MailStatus), default=MailStatus.QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(500))

    __table_args__ = (Index(None, "status", "due_at"),)


class Attempts(Table):
    """Failures to sign in under one name or from one address; `key` is a keyed hash of which."""

    __tablename__ = "users_attempts"

    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)
    locked_until: Mapped[datetime | None]


class IdempotentAnswer(Table):
    """The answer to a request with an `Idempotency-Key`, for its repetition."""

    __tablename__ = "users_idempotency"

    caller: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(index=True)
