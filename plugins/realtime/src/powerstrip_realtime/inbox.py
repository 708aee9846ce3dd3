"""The stored notifications."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, Event, Identity
from powerstrip_database import Database, new_id
from powerstrip_realtime.errors import UnknownNotification
from powerstrip_realtime.models import ReadMark, StoredNotification
from powerstrip_realtime.outbox import Outbox
from powerstrip_realtime.schemas import Inbox, InboxEntry, NewNotification, Notification

_MOST_MARKED = 5_000


class StoredInboxes:
    """Everybody's inbox: what was sent to the user, to a role that the user has, and to everybody."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock, kept: float) -> None:
        """`kept` is how many seconds a notification stays."""
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._kept = timedelta(seconds=kept)

    async def send(self, new: NewNotification, audiences: Sequence[str]) -> list[UUID]:
        """Store a notification for each audience; it is published with the commit."""
        ids = [new_id() for _ in audiences]

        async def work(session: AsyncSession) -> None:
            now = self._clock.now()
            for notification_id, audience in zip(ids, audiences, strict=True):
                stored = StoredNotification(
                    id=notification_id,
                    audience=audience,
                    kind=new.kind,
                    title=new.title,
                    message=new.message,
                    data=new.data,
                    created_at=now,
                )
                session.add(stored)
                self._outbox.add(session, as_event(audience, _shown(stored)))

        await self._database.retrying(work)
        return ids

    async def read(self, identity: Identity, *, before: UUID | None, limit: int, unread_only: bool) -> Inbox:
        """A page of somebody's inbox, the newest first."""
        mine = self._mine(identity)
        wanted = [mine]
        if before is not None:
            wanted.append(StoredNotification.id < before)
        if unread_only:
            wanted.append(~_is_read(identity))
        page = (
            select(StoredNotification, _is_read(identity).label("is_read"))
            .where(*wanted)
            .order_by(StoredNotification.id.desc())
            .limit(limit + 1)
        )
        async with self._database.reading() as session:
            rows = (await session.execute(page)).all()
            unread = await session.scalar(self._count_unread(identity))
        shown = rows[:limit]
        items = [InboxEntry(**_shown(stored).model_dump(), is_read=bool(is_read)) for stored, is_read in shown]
        return Inbox(items=items, unread=unread or 0, next=items[-1].id if len(rows) > limit else None)

    async def unread(self, identity: Identity) -> int:
        async with self._database.reading() as session:
            return await session.scalar(self._count_unread(identity)) or 0

    async def mark_read(self, identity: Identity, notification_id: UUID) -> None:
        """Raises UnknownNotification for one that is not in this inbox."""

        async def work(session: AsyncSession) -> None:
            found = select(StoredNotification.id).where(StoredNotification.id == notification_id, self._mine(identity))
            if await session.scalar(found) is None:
                raise UnknownNotification
            mark = {"user_id": identity.id, "notification_id": notification_id, "read_at": self._clock.now()}
            await session.execute(self._new_marks().values(mark).on_conflict_do_nothing())

        await self._database.retrying(work)

    async def mark_all_read(self, identity: Identity) -> None:
        """All that is there now; of a very full inbox the newest."""

        async def work(session: AsyncSession) -> None:
            unread = (
                select(literal(identity.id), StoredNotification.id, literal(self._clock.now(), ReadMark.read_at.type))
                .where(self._mine(identity), ~_is_read(identity))
                .order_by(StoredNotification.id.desc())
                .limit(_MOST_MARKED)
            )
            columns = ["user_id", "notification_id", "read_at"]
            await session.execute(self._new_marks().from_select(columns, unread).on_conflict_do_nothing())

        await self._database.retrying(work)

    def _new_marks(self) -> Any:
        """An INSERT that can pass over what another request has marked meanwhile: each dialect has its own."""
        dialect = postgresql if self._database.dialect == "postgresql" else sqlite
        return dialect.insert(ReadMark)

    async def forget_user(self, user_id: str) -> None:
        """Delete what was sent to a user alone, and what is known of the user's reading."""

        async def work(session: AsyncSession) -> None:
            await session.execute(delete(ReadMark).where(ReadMark.user_id == user_id))
            own = StoredNotification.audience == f"user:{user_id}"
            await session.execute(delete(StoredNotification).where(own))

        await self._database.retrying(work)

    async def forget_old(self) -> None:
        """Delete what has been kept for long enough."""

        async def work(session: AsyncSession) -> None:
            old = StoredNotification.created_at < self._clock.now() - self._kept
            await session.execute(delete(StoredNotification).where(old))

        await self._database.retrying(work)

    def _mine(self, identity: Identity) -> ColumnElement[bool]:
        return and_(
            StoredNotification.audience.in_(audiences_of(identity.id, identity.roles)),
            StoredNotification.created_at >= self._clock.now() - self._kept,
        )

    def _count_unread(self, identity: Identity) -> Select[int]:
        return select(func.count()).select_from(StoredNotification).where(self._mine(identity), ~_is_read(identity))


def audiences_of(user_id: str, roles: Collection[str]) -> list[str]:
    """The topics whose notifications reach a user."""
    return [f"user:{user_id}", *(f"role:{role}" for role in sorted(roles)), "broadcast"]


def as_event(audience: str, notification: Notification) -> Event:
    """The event that tells of a notification."""
    return Event(
        audience,
        "notification",
        notification.model_dump(mode="json"),
        id=str(notification.id),
        time=notification.created_at,
    )


def _is_read(identity: Identity) -> ColumnElement[bool]:
    return exists().where(ReadMark.user_id == identity.id, ReadMark.notification_id == StoredNotification.id)


def _shown(stored: StoredNotification) -> Notification:
    return Notification(
        id=stored.id,
        kind=stored.kind,
        title=stored.title,
        message=stored.message,
        data=stored.data,
        created_at=stored.created_at,
    )
