"""Requests that may be repeated without being done twice (draft-ietf-httpapi-idempotency-key-header)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_users.errors import IdempotencyKeyReused
from powerstrip_users.models import IdempotentAnswer
from powerstrip_users.storage import insert_into


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one request. Keys of different callers have nothing to do with each other."""

    caller: str
    key: str
    request_hash: bytes

    async def claim(self, session: AsyncSession, now: datetime) -> Mapping[str, Any] | None:
        """Take the key, or get the answer that was given under it.

        The same key at the same moment waits here for the other transaction to end. Raises IdempotencyKeyReused
        when the key stood for another request.
        """
        row = {"caller": self.caller, "key": self.key, "request_hash": self.request_hash, "created_at": now}
        insert = insert_into(session, IdempotentAnswer).values(row).on_conflict_do_nothing()
        taken = await session.execute(insert.returning(IdempotentAnswer.key))
        if taken.first() is not None:
            return None
        earlier = await session.get_one(IdempotentAnswer, (self.caller, self.key))
        if earlier.request_hash != self.request_hash:
            raise IdempotencyKeyReused
        return earlier.answer or {}

    async def keep(self, session: AsyncSession, answer: Mapping[str, Any]) -> None:
        """Store the answer, in the transaction that it tells about."""
        mine = (IdempotentAnswer.caller == self.caller, IdempotentAnswer.key == self.key)
        await session.execute(update(IdempotentAnswer).where(*mine).values(answer=dict(answer)))
