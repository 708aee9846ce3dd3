"""Accounts: making, finding, changing and deleting them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, NotFound
from powerstrip_database import Database, new_id
from powerstrip_users import audit, outbox, storage
from powerstrip_users.access import revoke_deleted_user
from powerstrip_users.announcements import Announcement, Announcements
from powerstrip_users.changes import AccountChanges, Applied, names_taken
from powerstrip_users.domain import Actor, Client, Role, Status, email_key, search_text, username_key
from powerstrip_users.errors import AdminNotDeletable, InvalidToken, RecentSignInRequired
from powerstrip_users.models import AuditEntry, User
from powerstrip_users.passwords import PasswordHasher, PasswordPolicy
from powerstrip_users.preconditions import Precondition
from powerstrip_users.schemas import AuditPageRequest, UserFilters
from powerstrip_users.settings import UsersSettings
from powerstrip_users.statistics import UserStatistic


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is made of."""

    email: str
    username: str
    password: str
    full_name: str | None = None
    phone: str | None = None


class Accounts:
    """The use cases of accounts. Each runs in one transaction and tells about it after the commit."""

    def __init__(
        self,
        *,
        database: Database,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        changes: AccountChanges,
        announcements: Announcements,
        statistics: Sequence[UserStatistic],
        settings: UsersSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = policy
        self._changes = changes
        self._announcements = announcements
        self._statistics = tuple(statistics)
        self._settings = settings
        self._clock = clock

    def count(self, statistics: Sequence[UserStatistic]) -> None:
        """Show these numbers from now on, in place of the others."""
        self._statistics = tuple(statistics)

    async def sign_up(self, account: NewAccount, client: Client) -> User:
        """Make an account for a stranger. Raises EmailTaken, UsernameTaken, EmailNotAllowed, PasswordNotAllowed
        and SignInBusy."""
        status = Status.PENDING if self._settings.verification_required else Status.ACTIVE
        user = await self._new_user(account, Role.USER, status)
        actor = Actor(name=user.username, client=client, id=user.id)
        async with names_taken(self._database, user.id, user.email), self._database.transaction() as session:
            await self._add(session, user, actor)
            data = {"username": user.username, "full_name": user.full_name}
            outbox.enqueue(session, "welcome", user.email, data, at=user.created_at, user_id=user.id, link="verify")
            created = self._announcements.user_created(session, user.id)
        await self._announcements.publish(created)
        return user

    async def create_admin(self, account: NewAccount, actor: Actor) -> User:
        """Make an admin whose address counts as confirmed: for the command line. Raises what `sign_up` raises."""
        user = await self._new_user(account, Role.ADMIN, Status.ACTIVE)
        user.is_verified = True
        async with names_taken(self._database, user.id, user.email), self._database.transaction() as session:
            await self._add(session, user, actor)
            created = self._announcements.user_created(session, user.id)
        await self._announcements.publish(created)
        return user

    async def _new_user(self, account: NewAccount, role: Role, status: Status) -> User:
        self._changes.check_address(account.email)
        self._policy.check(account.password, (account.email, account.username, account.full_name))
        password_hash = await self._hasher.hash(account.password)
        now = self._clock.now()
        return User(
            id=new_id(),
            email=account.email,
            email_key=email_key(account.email),
            username=account.username,
            username_key=username_key(account.username),
            full_name=account.full_name,
            phone=account.phone,
            search_text=search_text(account.email, account.username, account.full_name),
            password_hash=password_hash,
            status=status,
            role=role,
            is_verified=False,
            created_at=now,
            updated_at=now,
            access_version=1,
        )

    async def _add(self, session: AsyncSession, user: User, actor: Actor) -> None:
        session.add(user)
        facts = {name: (None, getattr(user, name)) for name in ("email", "username", "role", "status")}
        audit.record(session, actor, "user.created", user.id, facts, at=user.created_at)
        await session.flush()

    async def get(self, user_id: UUID) -> User:
        """Any account. Raises NotFound."""
        async with self._database.reading() as session:
            user = await storage.find_user(session, user_id)
        if user is None:
            raise NotFound
        return user

    async def profile(self, user_id: UUID) -> tuple[User, Mapping[str, int]]:
        """The caller's own account with its statistics. Raises InvalidToken when it is gone or not active."""
        async with self._database.reading() as session:
            user = await storage.find_user(session, user_id)
            if user is None or user.status is not Status.ACTIVE:
                raise InvalidToken("The account is not active.")
            counts = {entry.name: await entry.count(session, user_id) for entry in self._statistics}
        return user, counts

    async def page(self, filters: UserFilters, page: int, size: int) -> tuple[Sequence[User], int]:
        async with self._database.reading() as session:
            return await storage.page_of_users(session, filters, page, size)

    async def after(self, filters: UserFilters, position: tuple[Any, UUID] | None, limit: int) -> Sequence[User]:
        """The accounts after a position, one more than `limit` where there are more."""
        async with self._database.reading() as session:
            return await storage.users_after(session, filters, position, limit + 1)

    async def audit_page(self, wanted: AuditPageRequest) -> tuple[Sequence[AuditEntry], int]:
        async with self._database.reading() as session:
            return await storage.page_of_audit(session, wanted)

    async def change_own(
        self, actor: Actor, changes: Mapping[str, Any], precondition: Precondition, signed_in_at: datetime | None
    ) -> User:
        """Change the caller's own profile. Raises what `change` raises, InvalidToken when the account is gone or
        not active, and RecentSignInRequired for a new address long after the sign-in."""

        def check(user: User) -> None:
            if user.status is not Status.ACTIVE:
                raise InvalidToken("The account is not active.")
            if email_key(changes.get("email", user.email)) != user.email_key:
                self._require_recent(signed_in_at)

        try:
            return await self._change(actor, _own_id(actor), changes, precondition, check)
        except NotFound:
            raise InvalidToken("The account is gone.") from None

    async def change(self, actor: Actor, user_id: UUID, changes: Mapping[str, Any], precondition: Precondition) -> User:
        """Change any account. Raises NotFound, PreconditionFailed, EmailTaken, UsernameTaken, EmailNotAllowed and
        LastAdmin."""
        return await self._change(actor, user_id, changes, precondition, lambda _user: None)

    async def _change(
        self,
        actor: Actor,
        user_id: UUID,
        changes: Mapping[str, Any],
        precondition: Precondition,
        check: Callable[[User], None],
    ) -> User:
        async def work(session: AsyncSession) -> tuple[User, Applied]:
            locked = await self._changes.lock(session, [user_id], changes)
            user = locked.find(user_id)
            if user is None:
                raise NotFound
            check(user)
            precondition.check(user.version)
            return user, await self._changes.apply(session, user, changes, actor, self._clock.now(), locked=locked)

        async with names_taken(self._database, user_id, changes.get("email")):
            user, applied = await self._database.retrying(work)
        await self._announcements.publish(*applied.announcements)
        return user

    async def delete(self, actor: Actor, user_id: UUID, precondition: Precondition) -> None:
        """Delete an account, its sessions and its tokens. Raises NotFound, PreconditionFailed and
        AdminNotDeletable."""

        async def work(session: AsyncSession) -> Announcement:
            user = await storage.find_user(session, user_id, lock=True)
            if user is None:
                raise NotFound
            precondition.check(user.version)
            if user.role is Role.ADMIN:
                raise AdminNotDeletable
            now = self._clock.now()
            facts = {name: (getattr(user, name), None) for name in ("email", "username", "role", "status")}
            audit.record(session, actor, "user.deleted", user.id, facts, at=now)
            revoke_deleted_user(session, user, now)
            await session.delete(user)
            return self._announcements.user_deleted(session, user_id)

        await self._announcements.publish(await self._database.retrying(work))

    def _require_recent(self, signed_in_at: datetime | None) -> None:
        longest = timedelta(seconds=self._settings.tokens.recent_sign_in)
        if signed_in_at is None or self._clock.now() - signed_in_at > longest:
            raise RecentSignInRequired


def _own_id(actor: Actor) -> UUID:
    if actor.id is None:
        raise InvalidToken("The caller has no account.")
    return actor.id
