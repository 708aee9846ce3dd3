"""What users offers for export: what its lists show, under their permissions and filters."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Select, case, select

from powerstrip import ExportColumn, ExportContext, ExportSource
from powerstrip_users.domain import READ_AUDIT, READ_USERS, Status
from powerstrip_users.models import AuditEntry, User
from powerstrip_users.schemas import Action, UserFilters
from powerstrip_users.storage import Order, matching, matching_audit

_USER_COLUMNS = (
    ExportColumn("id", "uuid"),
    ExportColumn("email", sensitive=True, reveal=READ_USERS),
    ExportColumn("username"),
    ExportColumn("full_name", title="Full name", sensitive=True, reveal=READ_USERS),
    ExportColumn("phone", sensitive=True, reveal=READ_USERS),
    ExportColumn("status"),
    ExportColumn("role"),
    ExportColumn("is_verified", "boolean", title="Verified"),
    ExportColumn("last_login", "datetime", title="Last login"),
    ExportColumn("created_at", "datetime", title="Created"),
    ExportColumn("updated_at", "datetime", title="Updated"),
    ExportColumn("is_active", "boolean", title="Active"),
    ExportColumn("profile_completion", "integer", title="Profile completion"),
)

_AUDIT_COLUMNS = (
    ExportColumn("id", "uuid"),
    ExportColumn("time", "datetime"),
    ExportColumn("action"),
    ExportColumn("actor_id", "uuid", title="Actor id"),
    ExportColumn("actor"),
    ExportColumn("target_id", "uuid", title="Target id"),
    ExportColumn("changes", "json"),
    ExportColumn("request_id", title="Request id"),
    ExportColumn("client_address", title="Client address", sensitive=True, reveal=READ_AUDIT),
)


class AuditFilters(BaseModel):
    """Which entries of the audit log."""

    model_config = ConfigDict(extra="forbid")

    actor_id: UUID | None = None
    target_id: UUID | None = None
    action: Action | None = None


def export_sources() -> list[ExportSource]:
    """`users`, which is also `/users/export`, and `audit`."""
    return [
        ExportSource(
            name="users",
            title="users",
            columns=_USER_COLUMNS,
            permission=READ_USERS,
            filters=UserFilters,
            query=_users,
            path="/users/export",
        ),
        ExportSource(
            name="audit",
            title="audit",
            columns=_AUDIT_COLUMNS,
            permission=READ_AUDIT,
            filters=AuditFilters,
            query=_audit,
        ),
    ]


def _users(context: ExportContext) -> Select[Any]:
    filters: UserFilters = context.filters
    filled = [case((value.is_(None), 0), else_=50) for value in (User.full_name, User.phone)]
    users: Any = select(
        User.id,
        User.email,
        User.username,
        User.full_name,
        User.phone,
        User.status,
        User.role,
        User.is_verified,
        User.last_login,
        User.created_at,
        User.updated_at,
        User.status == Status.ACTIVE,
        filled[0] + filled[1],
    ).where(*matching(filters))
    # The default order of a list would cost most of the time of a large export.
    return Order.of(filters.sort).apply(users) if "sort" in filters.model_fields_set else users


def _audit(context: ExportContext) -> Select[Any]:
    filters: AuditFilters = context.filters
    entries = select(
        AuditEntry.id,
        AuditEntry.time,
        AuditEntry.action,
        AuditEntry.actor_id,
        AuditEntry.actor,
        AuditEntry.target_id,
        AuditEntry.changes,
        AuditEntry.request_id,
        AuditEntry.client_address,
    )
    return entries.where(*matching_audit(filters.actor_id, filters.target_id, filters.action))
