"""Who did what to whom, stored with the change itself."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import AuditLog, AuditRecord, Clock, Identity
from powerstrip_database import Database
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


class AuditTrail(AuditLog):
    """The audit log, for what other plugins do: their facts become the entry's `changes`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, entry: AuditRecord) -> None:
        caller = entry.caller
        stored = AuditEntry(
            time=self._clock.now(),
            action=entry.action[:50],
            actor_id=_account(caller),
            actor=(caller.name or caller.id)[:254] if caller else "command line",
            target_id=None,
            changes=dict(entry.facts),
            request_id=entry.request_id[:200] if entry.request_id else None,
            client_address=entry.client_address[:64],
        )
        async with self._database.transaction() as session:
            session.add(stored)


def _account(caller: Identity | None) -> UUID | None:
    try:
        return UUID(caller.id) if caller else None
    except ValueError:
        return None


def secret_changed() -> Changes:
    """That a password changed, without a word about it."""
    return {"password": (REDACTED, REDACTED)}


def _json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
