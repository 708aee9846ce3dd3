"""What happened, told on the event bus once it is committed."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from powerstrip import Event, EventBus


class Announcements:
    """Events about accounts: their topic is their type, so `user.*` listens to all about users.

    `data` holds ids, never personal facts; `access_changed` says that access tokens died.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    async def user_created(self, user_id: UUID) -> None:
        await self._publish("user.created", user_id=str(user_id))

    async def user_updated(self, user_id: UUID, fields: Collection[str], *, access_changed: bool) -> None:
        await self._publish("user.updated", user_id=str(user_id), fields=sorted(fields), access_changed=access_changed)

    async def user_suspended(self, user_id: UUID) -> None:
        await self._publish("user.suspended", user_id=str(user_id), access_changed=True)

    async def user_deleted(self, user_id: UUID) -> None:
        await self._publish("user.deleted", user_id=str(user_id), access_changed=True)

    async def session_revoked(self, user_id: UUID, session_ids: Iterable[UUID]) -> None:
        ended = [str(session_id) for session_id in session_ids]
        await self._publish("session.revoked", user_id=str(user_id), session_ids=ended, access_changed=True)

    async def users_bulk_updated(self, user_ids: Iterable[UUID], actor_id: UUID | None) -> None:
        ids = [str(user_id) for user_id in user_ids]
        actor = str(actor_id) if actor_id else None
        await self._publish("users.bulk_updated", user_ids=ids, actor_id=actor, access_changed=True)

    async def _publish(self, kind: str, **data: Any) -> None:
        await self._bus.publish(Event(kind, kind, data))
