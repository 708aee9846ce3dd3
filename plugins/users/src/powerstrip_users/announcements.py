"""What happened, told on the event bus once it is committed."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Event, EventBus, EventOutbox, Services

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event of a transaction. One that `is_stored` leaves with the commit, whatever becomes of this process."""

    event: Event
    is_stored: bool

    @property
    def access_changed(self) -> bool:
        return bool(self.event.data.get("access_changed"))


class Announcements:
    """Events about accounts: their topic is their type, so `user.*` listens to all about users.

    `data` holds ids, never personal facts; `access_changed` says that access tokens died. Each is announced in the
    transaction that makes it true, and published after the commit: where there is an `EventOutbox` by that, and
    otherwise by this process, unless it ends between the two.
    """

    def __init__(self, services: Services, on_access_change: Callable[[], Awaitable[None]]) -> None:
        """`on_access_change` lets this process know at once of tokens that died, where no event does."""
        self._services = services
        self._on_access_change = on_access_change

    def user_created(self, session: AsyncSession, user_id: UUID) -> Announcement:
        return self._announce(session, "user.created", user_id=str(user_id))

    def user_updated(
        self, session: AsyncSession, user_id: UUID, fields: Collection[str], *, access_changed: bool
    ) -> Announcement:
        data = {"fields": sorted(fields), "access_changed": access_changed}
        return self._announce(session, "user.updated", user_id=str(user_id), **data)

    def user_suspended(self, session: AsyncSession, user_id: UUID) -> Announcement:
        return self._announce(session, "user.suspended", user_id=str(user_id), access_changed=True)

    def user_deleted(self, session: AsyncSession, user_id: UUID) -> Announcement:
        return self._announce(session, "user.deleted", user_id=str(user_id), access_changed=True)

    def session_revoked(self, session: AsyncSession, user_id: UUID, session_ids: Iterable[UUID]) -> Announcement:
        ended = [str(session_id) for session_id in session_ids]
        return self._announce(session, "session.revoked", user_id=str(user_id), session_ids=ended, access_changed=True)

    def users_bulk_updated(
        self, session: AsyncSession, user_ids: Iterable[UUID], actor_id: UUID | None
    ) -> Announcement:
        ids = [str(user_id) for user_id in user_ids]
        actor = str(actor_id) if actor_id else None
        return self._announce(session, "users.bulk_updated", user_ids=ids, actor_id=actor, access_changed=True)

    async def publish(self, *announcements: Announcement) -> None:
        """Called after the commit. This process knows of dead access tokens when it returns; or, if they can't be read
        now, when they are read the next time (`AccessChanges.follow`): what is committed is no failure any more."""
        bus = self._services[EventBus]
        for announcement in announcements:
            if not announcement.is_stored:
                await bus.publish(announcement.event)
        if any(announcement.is_stored and announcement.access_changed for announcement in announcements):
            try:
                await self._on_access_change()
            except Exception:
                logger.exception("access has changed, and what has can't be read yet")

    def _announce(self, session: AsyncSession, kind: str, **data: Any) -> Announcement:
        event = Event(kind, kind, data)
        # Looked up each time: what provides it may be switched on and off while this plugin goes on.
        outbox = self._services.get(EventOutbox)
        if outbox is not None:
            outbox.add(session, event)
        return Announcement(event, is_stored=outbox is not None)
