"""Passwords that are changed or forgotten, and addresses that are confirmed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_users import audit, outbox, storage
from powerstrip_users.access import revoke_user
from powerstrip_users.announcements import Announcements
from powerstrip_users.attempts import AttemptLimits
from powerstrip_users.domain import Actor, Client, Status
from powerstrip_users.errors import CurrentPasswordWrong, InvalidToken, LinkNotValid
from powerstrip_users.links import LinkClaims, LinkPurpose, Links
from powerstrip_users.models import User
from powerstrip_users.passwords import PasswordHasher, PasswordPolicy
from powerstrip_users.sessions import Sessions


class Credentials:
    """The use cases of passwords and addresses."""

    def __init__(
        self,
        *,
        database: Database,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        sessions: Sessions,
        attempts: AttemptLimits,
        links: Links,
        announcements: Announcements,
        clock: Clock,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = policy
        self._sessions = sessions
        self._attempts = attempts
        self._links = links
        self._announcements = announcements
        self._clock = clock

    async def change_password(self, actor: Actor, kept: UUID | None, current: str, new: str) -> None:
        """Set a new password; every session but the kept one ends.

        Raises CurrentPasswordWrong, also for a while after too many wrong ones, PasswordNotAllowed, InvalidToken
        when the account is gone or not active, and SignInBusy.
        """
        async with self._database.reading() as session:
            seen = await storage.find_user(session, actor.id) if actor.id else None
        if seen is None or seen.status is not Status.ACTIVE:
            raise InvalidToken("The account is not active.")
        self._policy.check(new, (seen.email, seen.username, seen.full_name), field="new_password")
        await self._check_current(seen, current, actor.client)
        new_hash = await self._hasher.hash(new)
        async with self._database.transaction() as session:
            user = await storage.find_user(session, seen.id, lock=True)
            if user is None or user.password_hash != seen.password_hash:
                raise CurrentPasswordWrong
            ended = await self._set_password(session, user, new_hash, actor, kept)
            revoked = [self._announcements.session_revoked(session, user.id, ended)] if ended else []
        await self._announcements.publish(*revoked)

    async def _check_current(self, user: User, password: str, client: Client) -> None:
        """Raises CurrentPasswordWrong: whoever has a stolen token may not guess on without end."""
        verification = await self._hasher.verify(password, user.password_hash)
        keys = self._attempts.keys(f"id:{user.id}", client)
        async with self._database.transaction() as session:
            await self._attempts.take_turns(session, keys)
            now = self._clock.now()
            is_locked = (await self._attempts.locks(session, keys, now)).account is not None
            if verification.fits and not is_locked:
                await self._attempts.forget(session, keys.account)
            elif not is_locked:
                await self._attempts.count_failure(session, keys, now)
        if is_locked or not verification.fits:
            raise CurrentPasswordWrong

    async def forgot_password(self, email: str, client: Client) -> None:
        """Send a link to set a new password; to an address without an account, a mail that says so.

        Whether there is an account changes neither the answer nor the work: one search, one count, one mail.
        A few mails an hour go to one address, whoever asks.
        """
        now = self._clock.now()
        async with self._database.transaction() as session:
            is_more = await self._attempts.is_flood(session, f"reset:{email}", now)
            user = await storage.find_by_name(session, email)
            may_reset = user is not None and user.status in (Status.ACTIVE, Status.PENDING)
            if is_more:
                return
            if user is not None and may_reset:
                data = {"username": user.username, "client_address": client.address}
                outbox.enqueue(session, "reset-password", user.email, data, at=now, user_id=user.id, link="reset")
            else:
                data = {"client_address": client.address}
                outbox.enqueue(session, "reset-password-unknown", email, data, at=now)

    async def reset_password(self, token: str, new: str, client: Client) -> None:
        """Set a new password with the token of a mail; every session ends, and the address counts as confirmed.

        Raises LinkNotValid, PasswordNotAllowed and SignInBusy.
        """
        claims = self._links.read("reset", token)
        async with self._database.reading() as session:
            seen = self._current("reset", claims, await storage.find_user(session, claims.user_id))
        self._policy.check(new, (seen.email, seen.username, seen.full_name), field="new_password")
        new_hash = await self._hasher.hash(new)
        async with self._database.transaction() as session:
            user = self._current("reset", claims, await storage.find_user(session, claims.user_id, lock=True))
            self._confirm_address(user)
            for name in (user.email, user.username):
                await self._attempts.forget(session, self._attempts.keys(name, client).account)
            revoke_user(session, user, self._clock.now())
            actor = Actor(name=user.username, client=client, id=user.id)
            ended = await self._set_password(session, user, new_hash, actor, None)
            # Where none ended too: every access token has died.
            revoked = self._announcements.session_revoked(session, user.id, ended)
        await self._announcements.publish(revoked)

    async def verify_email(self, token: str, client: Client) -> None:
        """Confirm an address with the token of a mail; doing so again changes nothing. Raises LinkNotValid."""
        claims = self._links.read("verify", token)
        now = self._clock.now()
        async with self._database.transaction() as session:
            user = self._current("verify", claims, await storage.find_user(session, claims.user_id, lock=True))
            if user.is_verified:
                return
            self._confirm_address(user)
            user.updated_at = now
            actor = Actor(name=user.username, client=client, id=user.id)
            audit.record(session, actor, "user.verified", user.id, {"is_verified": (False, True)}, at=now)
            updated = self._announcements.user_updated(session, user.id, ["is_verified"], access_changed=False)
        await self._announcements.publish(updated)

    async def resend_verification(self, actor: Actor) -> None:
        """Send another link to confirm the caller's address, unless it is confirmed or too many were sent."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            user = await storage.find_user(session, actor.id) if actor.id else None
            if user is None or user.is_verified or await self._attempts.is_flood(session, f"verify:{user.id}", now):
                return
            data = {"username": user.username}
            outbox.enqueue(session, "verify-email", user.email, data, at=now, user_id=user.id, link="verify")

    async def _set_password(
        self, session: AsyncSession, user: User, new_hash: str, actor: Actor, kept: UUID | None
    ) -> Sequence[UUID]:
        """Returns the sessions that ended: all but the kept one."""
        now = self._clock.now()
        user.password_hash = new_hash
        user.updated_at = now
        audit.record(session, actor, "user.password_changed", user.id, audit.secret_changed(), at=now)
        data = {"username": user.username, "client_address": actor.client.address}
        outbox.enqueue(session, "password-changed", user.email, data, at=now, user_id=user.id)
        return await self._sessions.end_in(session, user.id, kept)

    def _current(self, purpose: LinkPurpose, claims: LinkClaims, user: User | None) -> User:
        usable = (Status.ACTIVE, Status.PENDING)
        if user is None or user.status not in usable or not self._links.is_current(purpose, claims, user):
            raise LinkNotValid
        return user

    def _confirm_address(self, user: User) -> None:
        user.is_verified = True
        if user.status is Status.PENDING:
            user.status = Status.ACTIVE
