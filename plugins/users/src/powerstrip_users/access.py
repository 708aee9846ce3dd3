"""Which access tokens died before they expired, known without a look at the database on each request."""

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, Event
from powerstrip_database import Database
from powerstrip_users.models import AccessChange, User
from powerstrip_users.settings import TokenSettings
from powerstrip_users.tokens import AccessClaims

logger = logging.getLogger(__name__)

# A change is stamped before it is committed, and clocks of machines differ: what was stamped this long before the
# newest change seen is read again.
_OVERLAP = timedelta(seconds=60)
# Without news for longer than this no token is believed: revoking one must not depend on the database staying away.
_LONGEST_SILENCE = 30.0


def revoke_user(session: AsyncSession, user: User, now: datetime) -> None:
    """Let every access token die that the user has. Refresh tokens live on while their sessions do."""
    user.access_version += 1
    session.add(AccessChange(user_id=user.id, version=user.access_version, changed_at=now))


def revoke_deleted_user(session: AsyncSession, user: User, now: datetime) -> None:
    """Let every access token die of a user whose row is about to go."""
    session.add(AccessChange(user_id=user.id, version=user.access_version + 1, changed_at=now))


def revoke_session(session: AsyncSession, user_id: UUID, session_id: UUID, now: datetime) -> None:
    """Let the access tokens of one session die."""
    session.add(AccessChange(user_id=user_id, session_id=session_id, changed_at=now))


class AccessChanges:
    """The changes of the last minutes: as many as an access token may be old, so memory is bounded by their rate."""

    def __init__(self, database: Database, settings: TokenSettings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._lifetime = timedelta(seconds=settings.access_lifetime) + _OVERLAP
        self._versions: dict[UUID, tuple[int, datetime]] = {}
        self._ended: dict[UUID, datetime] = {}
        self._newest: datetime | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._reads = 0

    def is_revoked(self, claims: AccessClaims) -> bool:
        """Whether the token died before it expired."""
        known = self._versions.get(claims.user_id)
        return claims.session_id in self._ended or (known is not None and claims.version < known[0])

    @property
    def is_current(self) -> bool:
        """Whether the changes were read recently enough to believe a token."""
        return self._clock.monotonic() - self._read_at < _LONGEST_SILENCE + self._settings.revocation_interval

    async def read(self) -> None:
        """Read what has changed since the last time. Those who wait meanwhile share the next read."""
        before = self._reads
        async with self._reading:
            if self._reads > before:
                return  # begun after this call, so it has seen all that this call is about
            self._reads += 1
            started = self._clock.monotonic()
            since = self._newest - _OVERLAP if self._newest else self._clock.now() - self._lifetime
            columns = select(
                AccessChange.user_id, AccessChange.session_id, AccessChange.version, AccessChange.changed_at
            )
            async with self._database.reading() as session:
                rows = (await session.execute(columns.where(AccessChange.changed_at > since))).all()
            for user_id, session_id, version, changed_at in rows:
                self._apply(user_id, session_id, version, changed_at)
            self._forget()
            self._read_at = started

    async def follow(self) -> None:
        """Read again and again, for ever. A database that is away is waited for."""
        failing = False
        while True:
            await asyncio.sleep(self._settings.revocation_interval)
            try:
                await self.read()
            except Exception:
                if not failing:
                    logger.exception("revoked sessions can't be read; trying again until they can")
                failing = True
            else:
                if failing:
                    logger.info("revoked sessions can be read again")
                failing = False

    async def on_event(self, event: Event) -> None:
        """Read at once when an event of this or another process says that access has changed."""
        if isinstance(event.data, dict) and event.data.get("access_changed"):
            await self.read()

    def _apply(self, user_id: UUID, session_id: UUID | None, version: int | None, changed_at: datetime) -> None:
        if session_id is not None:
            self._ended[session_id] = changed_at
        elif version is not None:
            known = self._versions.get(user_id)
            if known is None or version > known[0]:
                self._versions[user_id] = version, changed_at
        if self._newest is None or changed_at > self._newest:
            self._newest = changed_at

    def _forget(self) -> None:
        """Drop what is older than any token that is still valid."""
        oldest = self._clock.now() - self._lifetime
        for session_id in [key for key, changed_at in self._ended.items() if changed_at < oldest]:
            del self._ended[session_id]
        for user_id in [key for key, (_, changed_at) in self._versions.items() if changed_at < oldest]:
            del self._versions[user_id]
