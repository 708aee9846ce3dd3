"""Changing an account: the rules, the traces it leaves and what follows from it. One place for all who may."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_database import Database, constraint_of
from powerstrip_users import audit, outbox
from powerstrip_users.access import revoke_user
from powerstrip_users.announcements import Announcement, Announcements
from powerstrip_users.domain import Actor, Role, Status, email_key, is_blocked, search_text, username_key
from powerstrip_users.errors import EmailNotAllowed, EmailTaken, LastAdmin, UsernameTaken
from powerstrip_users.models import User
from powerstrip_users.sessions import Sessions
from powerstrip_users.storage import find_by_name, lock_users


@asynccontextmanager
async def names_taken(database: Database, user_id: UUID, email: str | None) -> AsyncGenerator[None]:
    """For a change of one account: turns what the database's unique indexes refuse into EmailTaken and UsernameTaken.

    They alone decide: whoever looks first and inserts later lets two requests through. Which of two violated ones is
    reported differs between databases; here it is always the address.
    """
    try:
        yield
    except IntegrityError as error:
        constraint = constraint_of(error)
        if constraint == "uq_users_email_key":
            raise EmailTaken from error
        if constraint != "uq_users_username_key":
            raise
        async with database.reading() as session:
            owner = await find_by_name(session, email) if email is not None else None
        raise (UsernameTaken if owner is None or owner.id == user_id else EmailTaken) from error


@dataclass(frozen=True, slots=True)
class Applied:
    """What a change came to."""

    user_id: UUID
    announcements: Sequence[Announcement] = ()

    @property
    def is_change(self) -> bool:
        return bool(self.announcements)


class LockedAccounts:
    """Accounts that nobody else changes until the transaction ends."""

    def __init__(self, users: Iterable[User]) -> None:
        self._users = {user.id: user for user in users}

    def find(self, user_id: UUID) -> User | None:
        return self._users.get(user_id)

    def is_last_admin(self, user: User) -> bool:
        """Whether no other active admin is left. All of them have to be locked."""
        return _is_active_admin(user) and sum(map(_is_active_admin, self._users.values())) == 1


class AccountChanges:
    """Locks accounts, and applies changes to them."""

    def __init__(self, sessions: Sessions, announcements: Announcements, blocked_domains: Collection[str]) -> None:
        self._sessions = sessions
        self._announcements = announcements
        self._blocked_domains = frozenset(blocked_domains)

    def check_address(self, email: str) -> None:
        """Raises EmailNotAllowed for addresses of blocked domains."""
        if is_blocked(email, self._blocked_domains):
            raise EmailNotAllowed

    async def lock(
        self, session: AsyncSession, user_ids: Collection[UUID], changes: Mapping[str, Any]
    ) -> LockedAccounts:
        """Those of the accounts that exist, locked; with all active admins when the change may take one away."""
        return LockedAccounts(await lock_users(session, user_ids, and_admins=_may_take_admin_away(changes)))

    async def apply(
        self,
        session: AsyncSession,
        user: User,
        changes: Mapping[str, Any],
        actor: Actor,
        now: datetime,
        *,
        locked: LockedAccounts,
    ) -> Applied:
        """Change the stated fields, with everything that follows, and write it into the audit log.

        `locked` was locked for these changes and holds the user. Raises EmailNotAllowed and LastAdmin; what is taken
        shows when the transaction is flushed (`names_taken`).
        """
        wanted = dict(changes)
        if wanted.get("email", user.email) != user.email:
            self.check_address(wanted["email"])
            if email_key(wanted["email"]) != user.email_key:
                wanted.setdefault("is_verified", False)
        different = {
            name: (getattr(user, name), value) for name, value in wanted.items() if getattr(user, name) != value
        }
        if not different:
            return Applied(user.id)
        if _may_take_admin_away(wanted) and locked.is_last_admin(user):
            raise LastAdmin
        if user.email_key != email_key(wanted.get("email", user.email)):
            self._tell_both_addresses(session, user, wanted["email"], now, is_verified=wanted["is_verified"])
        for name, (_, value) in different.items():
            setattr(user, name, value)
        user.email_key, user.username_key = email_key(user.email), username_key(user.username)
        user.search_text = search_text(user.email, user.username, user.full_name)
        user.updated_at = now
        audit.record(session, actor, "user.updated", user.id, different, at=now)
        announcements = await self._follow_up(session, user, frozenset(different), now)
        await session.flush()
        return Applied(user.id, announcements)

    async def _follow_up(
        self, session: AsyncSession, user: User, fields: frozenset[str], now: datetime
    ) -> Sequence[Announcement]:
        left = "status" in fields and user.status is not Status.ACTIVE
        access_changed = left or "role" in fields
        if access_changed:
            revoke_user(session, user, now)
        ended = await self._sessions.end_in(session, user.id, None) if left else []
        announce = self._announcements
        told = [announce.user_suspended(session, user.id)] if left and user.status is Status.SUSPENDED else []
        if ended:
            told.append(announce.session_revoked(session, user.id, ended))
        return [*told, announce.user_updated(session, user.id, fields, access_changed=access_changed)]

    def _tell_both_addresses(
        self, session: AsyncSession, user: User, new: str, now: datetime, *, is_verified: bool
    ) -> None:
        data = {"username": user.username, "new_email": new}
        outbox.enqueue(session, "email-changed", user.email, data, at=now, user_id=user.id)
        if not is_verified:  # an admin may know that it is hers
            outbox.enqueue(session, "verify-email", new, data, at=now, user_id=user.id, link="verify")


def _may_take_admin_away(changes: Mapping[str, Any]) -> bool:
    loses_role = changes.get("role", Role.ADMIN) is not Role.ADMIN
    return loses_role or changes.get("status", Status.ACTIVE) is not Status.ACTIVE


def _is_active_admin(user: User) -> bool:
    return user.role is Role.ADMIN and user.status is Status.ACTIVE
