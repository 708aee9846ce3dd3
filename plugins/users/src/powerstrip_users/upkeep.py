"""Removing what has expired, so that no table grows for ever."""

import asyncio
import random
from datetime import timedelta

from sqlalchemy import delete

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_users.models import AccessChange, Attempts, IdempotentAnswer, Mail, MailStatus, Session
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
        """Delete what has expired, a transaction for each table: none keeps writers waiting for all of it."""
        now = self._clock.now()
        settings = self._settings
        seconds = settings.tokens.access_lifetime
        attempts = max(settings.sign_in.window, settings.sign_in.longest_lock)
        idle = now - timedelta(seconds=settings.tokens.session_idle)
        for expired in (
            delete(AccessChange).where(AccessChange.changed_at < now - timedelta(seconds=seconds) - _MARGIN),
            delete(Attempts).where(Attempts.last_at < now - timedelta(seconds=attempts)),
            delete(Session).where((Session.expires_at < now) | (Session.last_used_at < idle)),
            delete(IdempotentAnswer).where(
                IdempotentAnswer.created_at < now - timedelta(seconds=settings.idempotency_lifetime)
            ),
            delete(Mail).where(
                Mail.status != MailStatus.QUEUED, Mail.due_at < now - timedelta(seconds=settings.mail.keep)
            ),
        ):
            async with self._database.transaction() as session:
                await session.execute(expired)
