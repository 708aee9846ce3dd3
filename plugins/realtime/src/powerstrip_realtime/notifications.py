"""Notifications: sent by admins and plugins, kept in inboxes, and shown at once to whoever is connected."""

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from powerstrip import Clock, Event, EventBus, Identity
from powerstrip_realtime.errors import InboxUnavailable
from powerstrip_realtime.schemas import Inbox, NewNotification, Notification, Sent

if TYPE_CHECKING:  # SQLAlchemy takes a third of a second to import, and only those with a database need it
    from powerstrip_realtime.inbox import StoredInboxes

_TIDY_INTERVAL = 3_600.0
_BULK = 10  # accounts that may be changed at once without the admins hearing of it


class Notifications:
    """The service that sends notifications: `await services[Notifications].send(NewNotification(...))`."""

    def __init__(self, inboxes: "StoredInboxes | None", bus: EventBus, clock: Clock) -> None:
        self._inboxes = inboxes
        self._bus = bus
        self._clock = clock

    async def send(self, new: NewNotification) -> Sent:
        """Send a notification. Those who are not connected find it in their inbox, where there is a database."""
        audiences = _audiences(new)
        if self._inboxes is not None:
            return Sent(ids=await self._inboxes.send(new, audiences), stored=True)
        ids = [uuid4() for _ in audiences]
        for notification_id, audience in zip(ids, audiences, strict=True):
            shown = Notification(
                id=notification_id,
                kind=new.kind,
                title=new.title,
                message=new.message,
                data=new.data,
                created_at=self._clock.now(),
            )
            data = shown.model_dump(mode="json")
            await self._bus.publish(Event(audience, "notification", data, id=str(shown.id), time=shown.created_at))
        return Sent(ids=ids, stored=False)

    async def read(self, identity: Identity, *, before: UUID | None, limit: int, unread_only: bool) -> Inbox:
        """A page of somebody's inbox. Raises InboxUnavailable."""
        return await self._stored().read(identity, before=before, limit=limit, unread_only=unread_only)

    async def unread(self, identity: Identity) -> int:
        return await self._stored().unread(identity)

    async def mark_read(self, identity: Identity, notification_id: UUID) -> None:
        await self._stored().mark_read(identity, notification_id)

    async def mark_all_read(self, identity: Identity) -> None:
        await self._stored().mark_all_read(identity)

    async def on_user_event(self, event: Event) -> None:
        """Tell the admins what a plugin that keeps users says of them."""
        data = event.data if isinstance(event.data, dict) else {}
        if event.type == "user.deleted" and self._inboxes is not None:
            await self._inboxes.forget_user(str(data.get("user_id")))
        new = _for_admins(event.type, data)
        if new is not None:
            await self.send(new)

    async def keep_tidy(self) -> None:
        """Delete what was kept for long enough, for ever."""
        while self._inboxes is not None:
            await self._inboxes.forget_old()
            await asyncio.sleep(_TIDY_INTERVAL)

    def _stored(self) -> "StoredInboxes":
        if self._inboxes is None:
            raise InboxUnavailable
        return self._inboxes


def _audiences(new: NewNotification) -> list[str]:
    if new.user_ids is not None:
        return [f"user:{user_id}" for user_id in dict.fromkeys(new.user_ids)]
    return [f"role:{new.role}"] if new.role is not None else ["broadcast"]


def _for_admins(kind: str, data: dict[str, object]) -> NewNotification | None:
    user_ids = data.get("user_ids")
    if kind == "user.created":
        title = "A user has signed up"
    elif kind == "user.deleted":
        title = "A user was deleted"
    elif kind == "users.bulk_updated" and isinstance(user_ids, list) and len(user_ids) > _BULK:
        title = f"{len(user_ids)} users were updated at once"
        data = {"count": len(user_ids), "actor_id": data.get("actor_id")}
    else:
        return None
    shown = {key: data[key] for key in ("user_id", "count", "actor_id") if data.get(key) is not None}
    return NewNotification(title=title, kind=kind, data=shown, role="admin")
