"""Who did what to whom, stored with the change itself."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_users.domain import Actor
from powerstrip_users.models import AuditEntry

REDACTED = "(redacted)"

Changes = Mapping[str, tuple[Any, Any]]


def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    target_id: UUID | None,
    changes: Changes | None = None,
    *,
    at: datetime,
) -> None:
    """Add an entry to the transaction. `changes` are fields with their values before and after."""
    session.add(
        AuditEntry(
            time=at,
            action=action,
            actor_id=actor.id,
            actor=actor.name,
            target_id=target_id,
            changes={
                field: {"before": _json(old), "after": _json(new)} for field, (old, new) in (changes or {}).items()
            },
            request_id=actor.client.request_id,
            client_address=actor.client.address,
        )
    )


def secret_changed() -> Changes:
    """That a password changed, without a word about it."""
    return {"password": (REDACTED, REDACTED)}


def _json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
