"""Signing in with a name and a password."""

import math

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_users.attempts import AttemptKeys, AttemptLimits
from powerstrip_users.domain import Client, Status
from powerstrip_users.errors import InvalidCredentials, TooManySignIns
from powerstrip_users.models import User
from powerstrip_users.passwords import PasswordHasher, Verification
from powerstrip_users.sessions import Sessions, TokenPair
from powerstrip_users.storage import find_by_name, find_user


class SignIns:
    """Lets people in. Whoever isn't let in learns nothing: every refusal takes one look into the database, one
    password check and one write, whether the account exists, is locked, is suspended or has another password."""

    def __init__(
        self, database: Database, hasher: PasswordHasher, sessions: Sessions, attempts: AttemptLimits, clock: Clock
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._sessions = sessions
        self._attempts = attempts
        self._clock = clock

    async def sign_in(self, name: str, password: str, client: Client) -> TokenPair:
        """Begin a session for the account with that e-mail address or username.

        Raises InvalidCredentials, TooManySignIns for an address with too many failures, and SignInBusy.
        """
        keys = self._attempts.keys(name, client)
        now = self._clock.now()
        async with self._database.reading() as session:
            locks = await self._attempts.locks(session, keys, now)
            user = await find_by_name(session, name)
        if locks.client is not None:
            raise TooManySignIns(math.ceil((locks.client - now).total_seconds()))
        verification = await self._hasher.verify(password, user.password_hash if user else None)
        async with self._database.transaction() as session:
            pair = await self._admit(session, user, verification, keys, client)
        if pair is None:
            raise InvalidCredentials
        return pair

    async def _admit(
        self, session: AsyncSession, seen: User | None, verification: Verification, keys: AttemptKeys, client: Client
    ) -> TokenPair | None:
        """Let in who gave the right password, unless it was guessed in one of many attempts at once: each is judged
        by the failures that were counted while its password was checked."""
        await self._attempts.take_turns(session, keys)
        now = self._clock.now()
        locks = await self._attempts.locks(session, keys, now)
        if locks.account is not None or locks.client is not None:
            return None
        user = await find_user(session, seen.id, lock=True) if seen and verification.fits else None
        may_enter = (
            user is not None
            and seen is not None
            and user.status is Status.ACTIVE
            and user.password_hash == seen.password_hash
        )
        if user is None or not may_enter:
            await self._attempts.count_failure(session, keys, now)
            return None
        if locks.has_failures:
            await self._attempts.forget(session, keys.account)
        pair = await self._sessions.start(session, user, client)
        user.last_login = now
        user.password_hash = verification.new_hash or user.password_hash
        return pair
