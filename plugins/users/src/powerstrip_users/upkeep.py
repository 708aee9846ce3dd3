"""Removing what has expired, so that no table grows for ever."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_users.models import AccessChange, Attempts, IdempotentAnswer, Mail, MailStatus, Session, Table
from powerstrip_users.settings import UsersSettings

_FIRST_AFTER = (15.0, 60.0)
_INTERVAL = 600.0
_MARGIN = timedelta(hours=1)


class Upkeep:
    """Deletes expired rows now and then. Every process does, whichever comes first."""

    def __init__(self, database: Database, settings: UsersSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def follow(self) -> None:
        """Delete what has expired again and again, for ever."""
        # Not while everything starts, and not in all processes at once.
        await asyncio.sleep(random.uniform(*_FIRST_AFTER))  # noqa: S311 - no secret
        while True:
            await self.run()
            await asyncio.sleep(_INTERVAL)

    async def run(self) -> None:
        """Delete what has expired, a transaction for each table: none keeps writers waiting for all of it.

        A row that somebody has locked stays until the next time: waiting for it could be a deadlock, and end a request.
        """
        for table, is_expired in self._expired():
            key = inspect(table).primary_key
            free = select(*key).where(is_expired).with_for_update(skip_locked=True)
            async with self._database.transaction() as session:
                await session.execute(
                    delete(table).where(tuple_(*key).in_(free)).execution_options(synchronize_session=False)
                )

    def _expired(self) -> Sequence[tuple[type[Table], ColumnElement[bool]]]:
        now = self._clock.now()
        settings = self._settings
        tokens = timedelta(seconds=settings.tokens.access_lifetime) + _MARGIN
        attempts = timedelta(seconds=max(settings.sign_in.window, settings.sign_in.longest_lock))
        idle = timedelta(seconds=settings.tokens.session_idle)
        answers = timedelta(seconds=settings.idempotency_lifetime)
        mails = timedelta(seconds=settings.mail.keep)
        return (
            (AccessChange, AccessChange.changed_at < now - tokens),
            (Attempts, Attempts.last_at < now - attempts),
            (Session, (Session.expires_at < now) | (Session.last_used_at < now - idle)),
            (IdempotentAnswer, IdempotentAnswer.created_at < now - answers),
            (Mail, (Mail.status != MailStatus.QUEUED) & (Mail.due_at < now - mails)),
        )
