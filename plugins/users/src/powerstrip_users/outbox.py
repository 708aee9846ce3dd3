"""Mails, stored with the change that causes them, and what becomes of them."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, delete, event, func, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import object_session

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_users.links import LinkPurpose
from powerstrip_users.models import Mail, MailStatus
from powerstrip_users.settings import MailSettings

_LONGEST_ERROR = 500


def enqueue(
    session: AsyncSession,
    template: str,
    to: str,
    data: Mapping[str, Any],
    *,
    at: datetime,
    user_id: UUID | None = None,
    link: LinkPurpose | None = None,
) -> None:
    """Add a mail to the transaction: it is sent if, and only if, that is committed.

    With `link`, the mail gets a link for the user: its token is made when the mail is sent, never stored.
    """
    session.add(
        Mail(template=template, recipient=to, data=dict(data), user_id=user_id, link=link, created_at=at, due_at=at)
    )


@contextmanager
def noticing_mails(notice: Callable[[], None]) -> Iterator[None]:
    """Call `notice` after each commit in this process that queued a mail, until the context is left.

    It is called in the thread of the commit, and for every application in the process.
    """

    def on_insert(_mapper: object, _connection: object, mail: Mail) -> None:
        session = object_session(mail)
        if session is not None:
            event.listen(session, "after_commit", lambda _session: notice(), once=True)

    event.listen(Mail, "after_insert", on_insert)
    try:
        yield
    finally:
        event.remove(Mail, "after_insert", on_insert)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many mails wait and since when, and how many were given up."""

    queued: int
    oldest: datetime | None
    abandoned: int


class Outbox:
    """The stored mails.

    Queued ones are claimed by the process that sends them: it holds a lease on them. One that still has the lease
    when it expires has crashed, and the mail is due again. `attempts` counts the claims, so it also tells whether a
    process still holds what it claimed.
    """

    def __init__(self, database: Database, settings: MailSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def claim(self, most: int) -> Sequence[Mail]:
        """Take a lease on mails that are due. No other process gets them meanwhile."""
        async with self._database.reading() as session:
            # Looking costs nothing; where one transaction writes at a time, claiming nothing would.
            if (await session.execute(select(Mail.id).where(*self._due()).limit(1))).first() is None:
                return []
        return await self._database.retrying(lambda session: self._claim(session, most))

    async def _claim(self, session: AsyncSession, most: int) -> Sequence[Mail]:
        oldest_first = select(Mail).where(*self._due()).order_by(Mail.due_at, Mail.id).limit(most)
        due = (await session.scalars(oldest_first.with_for_update(skip_locked=True))).all()
        until = self._clock.now() + timedelta(seconds=self._settings.lease)
        for mail in due:
            if mail.attempts >= self._settings.max_attempts:
                mail.status, mail.last_error = MailStatus.ABANDONED, "the process that sent it stopped each time"
            else:
                mail.attempts += 1
                mail.leased_until = mail.due_at = until
        return [mail for mail in due if mail.status is MailStatus.QUEUED]

    def _due(self) -> tuple[ColumnElement[bool], ...]:
        return Mail.status == MailStatus.QUEUED, Mail.due_at <= self._clock.now()

    def is_held(self, mail: Mail) -> bool:
        """Whether the lease on a claimed mail goes on."""
        return mail.leased_until is not None and self._clock.now() < mail.leased_until

    async def mark_sent(self, mail: Mail) -> None:
        """Remember that it was sent, and forget what was in it."""
        now = self._clock.now()
        await self._release(mail, status=MailStatus.SENT, sent_at=now, data={}, last_error=None)

    async def mark_failed(self, mail: Mail, reason: str, *, for_good: bool) -> None:
        """Remember why it could not be sent, to try again later, or never if that is `for_good`."""
        gives_up = for_good or mail.attempts >= self._settings.max_attempts
        await self._release(
            mail,
            status=MailStatus.ABANDONED if gives_up else MailStatus.QUEUED,
            due_at=self._clock.now() + timedelta(seconds=self._delay(mail.attempts)),
            last_error=reason[:_LONGEST_ERROR],
        )

    def _delay(self, attempts: int) -> float:
        delay = min(self._settings.first_delay * 2.0 ** (attempts - 1), self._settings.longest_delay)
        # Blurred, so that what failed together is not tried again together.
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    async def discard(self, mail: Mail) -> None:
        """Forget a mail that nobody waits for."""
        await self._execute(delete(Mail).where(*_held(mail)))

    async def _release(self, mail: Mail, **values: Any) -> None:
        """Change a mail and give back the lease."""
        await self._execute(update(Mail).where(*_held(mail)).values(leased_until=None, **values))

    async def _execute(self, change: Update | Delete) -> int:
        async def work(session: AsyncSession) -> int:
            result = cast("CursorResult[Any]", await session.execute(change))
            return result.rowcount

        return await self._database.retrying(work)

    async def backlog(self) -> Backlog:
        queued = Mail.status == MailStatus.QUEUED
        abandoned = Mail.status == MailStatus.ABANDONED
        async with self._database.reading() as session:
            waiting = select(func.count(), func.min(Mail.created_at)).select_from(Mail).where(queued)
            count, oldest = (await session.execute(waiting)).one()
            given_up = await session.scalar(select(func.count()).select_from(Mail).where(abandoned))
        return Backlog(count, oldest, given_up or 0)

    async def find(self, status: MailStatus | None, most: int) -> Sequence[Mail]:
        """The newest mails, all or of one status."""
        mails = select(Mail).order_by(Mail.created_at.desc(), Mail.id.desc()).limit(most)
        if status is not None:
            mails = mails.where(Mail.status == status)
        async with self._database.reading() as session:
            return (await session.scalars(mails)).all()

    async def retry(self, mail_id: UUID | None) -> int:
        """Make one unsent mail due now, or every abandoned one; returns how many. One that is being sent is left."""
        now = self._clock.now()
        if mail_id is None:
            chosen = Mail.status == MailStatus.ABANDONED
        else:
            chosen = (Mail.id == mail_id) & (Mail.status != MailStatus.SENT)
        free = or_(Mail.leased_until.is_(None), Mail.leased_until <= now)
        return await self._execute(
            update(Mail).where(chosen, free).values(status=MailStatus.QUEUED, attempts=0, due_at=now)
        )


def _held(mail: Mail) -> tuple[ColumnElement[bool], ...]:
    """That a mail is still held by whoever claimed it: nobody has claimed it again since."""
    return Mail.id == mail.id, Mail.attempts == mail.attempts, Mail.status == MailStatus.QUEUED
