"""Sessions: a sign-in on one device, kept alive by refresh tokens that are valid once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, NotFound
from powerstrip_database import Database, new_id
from powerstrip_users import audit, models
from powerstrip_users.access import revoke_session, revoke_user
from powerstrip_users.announcements import Announcements
from powerstrip_users.domain import Actor, Client, Status
from powerstrip_users.errors import InvalidRefreshToken
from powerstrip_users.settings import TokenSettings
from powerstrip_users.tokens import AccessClaims, AccessTokens, RefreshToken, RefreshTokens


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets when it signs in or refreshes."""

    access_token: str
    expires_in: int
    refresh_token: str


class _Use(Enum):
    """What the use of a refresh token means."""

    NEXT = auto()
    AGAIN = auto()
    STOLEN = auto()
    ENDED = auto()


class Sessions:
    """Starts, refreshes, lists and ends sessions."""

    def __init__(
        self,
        *,
        database: Database,
        access: AccessTokens,
        refresh: RefreshTokens,
        announcements: Announcements,
        settings: TokenSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._access = access
        self._refresh = refresh
        self._announcements = announcements
        self._settings = settings
        self._clock = clock
        # Made once: making a statement takes as long as running it.
        of_user = select(models.Session.id).where(models.Session.user_id == bindparam("user_id"))
        newest_first = of_user.order_by(models.Session.created_at.desc(), models.Session.id.desc())
        self._surplus = newest_first.offset(bindparam("kept"))

    async def start(self, session: AsyncSession, user: models.User, client: Client) -> TokenPair:
        """Begin a session in the caller's transaction; the oldest ends when there are too many."""
        now = self._clock.now()
        started = models.Session(
            id=new_id(),
            user_id=user.id,
            created_at=now,
            last_used_at=now,
            expires_at=now + timedelta(seconds=self._settings.session_lifetime),
            client_address=client.address,
            user_agent=client.user_agent,
        )
        token = self._refresh.first(started.id)
        started.refresh_hash = token.hash
        await self._make_room(session, user.id, now)
        session.add(started)
        return self._pair(user, started, token)

    async def refresh(self, text: str, client: Client) -> TokenPair:
        """Trade a refresh token for its successor and a new access token.

        A token that was used a moment ago gives the same successor again. One that was used before that was
        copied: its session ends. Raises InvalidRefreshToken for that one and for every other that isn't valid.
        """
        token = self._refresh.read(text)
        if token is None:
            raise InvalidRefreshToken
        async with self._database.transaction() as session:
            found = await session.get(models.Session, token.session_id, with_for_update=True)
            user = await session.get(models.User, found.user_id) if found else None
            if found is None or user is None:
                raise InvalidRefreshToken
            use = self._use(token, found, user)
            successor = await self._successor(session, use, token, found, client)
            is_stolen = use is _Use.STOLEN
            revoked = [self._announcements.session_revoked(session, user.id, [found.id])] if is_stolen else []
        await self._announcements.publish(*revoked)
        if successor is None:
            raise InvalidRefreshToken
        return self._pair(user, found, successor)

    def _use(self, token: RefreshToken, found: models.Session, user: models.User) -> _Use:
        if user.status is not Status.ACTIVE or self._has_ended(found):
            return _Use.ENDED
        if token.hash == found.refresh_hash:
            return _Use.NEXT
        grace = timedelta(seconds=self._settings.refresh_grace)
        is_fresh = found.rotated_at is not None and self._clock.now() - found.rotated_at <= grace
        if is_fresh and token.hash == found.previous_hash:
            return _Use.AGAIN
        return _Use.STOLEN

    async def _successor(
        self, session: AsyncSession, use: _Use, token: RefreshToken, found: models.Session, client: Client
    ) -> RefreshToken | None:
        now = self._clock.now()
        if use is _Use.AGAIN:
            return self._refresh.successor_with_hash(token, found.refresh_hash)
        if use is _Use.NEXT:
            successor = self._refresh.successor(token)
            found.previous_hash, found.refresh_hash = found.refresh_hash, successor.hash
            found.rotated_at = found.last_used_at = now
            found.client_address, found.user_agent = client.address, client.user_agent
            return successor
        await session.delete(found)
        if use is _Use.STOLEN:
            revoke_session(session, found.user_id, found.id, now)
            actor = Actor(name="holder of a used refresh token", client=client)
            audit.record(session, actor, "session.refresh_token_reused", found.user_id, at=now)
        return None

    async def of_user(self, user_id: UUID) -> Sequence[models.Session]:
        """The sessions that have not ended, the last used first."""
        async with self._database.reading() as session:
            mine = select(models.Session).where(models.Session.user_id == user_id)
            found = (await session.scalars(mine.order_by(models.Session.last_used_at.desc()))).all()
        return [entry for entry in found if not self._has_ended(entry)]

    async def end(self, actor: Actor, user_id: UUID, session_id: UUID) -> None:
        """End one session of a user. Raises NotFound when the user has no such session."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            found = await session.get(models.Session, session_id, with_for_update=True)
            if found is None or found.user_id != user_id:
                raise NotFound
            await session.delete(found)
            revoke_session(session, user_id, session_id, now)
            audit.record(session, actor, "session.ended", user_id, {"session": (session_id, None)}, at=now)
            revoked = self._announcements.session_revoked(session, user_id, [session_id])
        await self._announcements.publish(revoked)

    async def end_others(self, actor: Actor, user_id: UUID, kept: UUID | None) -> None:
        """End every session of a user but one."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            # The account first, as everywhere: whoever is signing in does not slip through.
            await session.get(models.User, user_id, with_for_update=True)
            ended = await self.end_in(session, user_id, kept)
            if not ended:
                return
            audit.record(session, actor, "session.others_ended", user_id, {"sessions": (len(ended), 0)}, at=now)
            revoked = self._announcements.session_revoked(session, user_id, ended)
        await self._announcements.publish(revoked)

    async def end_all(self, actor: Actor, user_id: UUID) -> None:
        """End every session of a user, and let every access token die, whichever session it is from."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            # The account first, as everywhere: two transactions can't wait for each other.
            user = await session.get(models.User, user_id, with_for_update=True)
            ended = await self.end_in(session, user_id, None)
            if user is not None:
                revoke_user(session, user, now)
            audit.record(session, actor, "session.all_ended", user_id, {"sessions": (len(ended), 0)}, at=now)
            revoked = self._announcements.session_revoked(session, user_id, ended)
        await self._announcements.publish(revoked)

    async def end_in(self, session: AsyncSession, user_id: UUID, kept: UUID | None) -> list[UUID]:
        """End a user's sessions but one in the caller's transaction; returns their ids, for the announcement."""
        now = self._clock.now()
        others = delete(models.Session).where(models.Session.user_id == user_id)
        if kept is not None:
            others = others.where(models.Session.id != kept)
        ended = list(await session.scalars(others.returning(models.Session.id)))
        for session_id in ended:
            revoke_session(session, user_id, session_id, now)
        return ended

    async def _make_room(self, session: AsyncSession, user_id: UUID, now: datetime) -> None:
        kept = self._settings.max_sessions - 1
        surplus = (await session.scalars(self._surplus, {"user_id": user_id, "kept": kept})).all()
        if surplus:
            await session.execute(delete(models.Session).where(models.Session.id.in_(surplus)))
            for session_id in surplus:
                revoke_session(session, user_id, session_id, now)

    def _has_ended(self, found: models.Session) -> bool:
        now = self._clock.now()
        idle = timedelta(seconds=self._settings.session_idle)
        return found.expires_at <= now or found.last_used_at + idle <= now

    def _pair(self, user: models.User, found: models.Session, token: RefreshToken) -> TokenPair:
        claims = AccessClaims(
            user_id=user.id,
            username=user.username,
            role=user.role,
            session_id=found.id,
            version=user.access_version,
            signed_in_at=found.created_at,
        )
        return TokenPair(self._access.issue(claims), self._access.lifetime, token.text)
