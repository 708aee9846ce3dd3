"""SQL about accounts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from powerstrip_users.domain import Role, Status, email_key, fold, username_key
from powerstrip_users.models import AuditEntry, Table, User
from powerstrip_users.schemas import AuditPageRequest, UserFilters

_ESCAPE = "\\"


async def find_user(session: AsyncSession, user_id: UUID, *, lock: bool = False) -> User | None:
    """The account; with `lock` it can't change until the transaction ends."""
    return await session.get(User, user_id, with_for_update=lock or None)


async def find_by_name(session: AsyncSession, name: str) -> User | None:
    """The account with that e-mail address or username. A username holds no `@`, so there is at most one."""
    matches = User.email_key == email_key(name) if "@" in name else User.username_key == username_key(name)
    return (await session.scalars(select(User).where(matches))).one_or_none()


async def lock_users(session: AsyncSession, user_ids: Collection[UUID], *, and_admins: bool) -> Sequence[User]:
    """Those of the accounts that exist, and on request all active admins: none changes until the transaction ends.

    Whoever locks several accounts does so here, once in a transaction: one statement locks all of them in the order of
    their ids, whatever they are at that moment, so no two transactions wait for each other.
    """
    wanted: ColumnElement[bool] = User.id.in_(user_ids)
    if and_admins:
        wanted |= (User.role == Role.ADMIN) & (User.status == Status.ACTIVE)
    return (await session.scalars(select(User).where(wanted).order_by(User.id).with_for_update())).all()


async def active_admins(session: AsyncSession, most: int) -> Sequence[User]:
    active = select(User).where(User.role == Role.ADMIN, User.status == Status.ACTIVE)
    return (await session.scalars(active.order_by(User.created_at, User.id).limit(most))).all()


def insert_into(session: AsyncSession, table: type[Table]) -> Any:
    """An INSERT that can say what to do about a conflict: each dialect has its own, and both are called alike."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


async def lock_for_transaction(session: AsyncSession, names: Collection[bytes]) -> None:
    """Keep out others that lock one of these names, until the transaction ends; there need be no rows of them.

    In the same order everywhere, so that no two wait for each other. On SQLite the transaction itself keeps out all.
    """
    if session.get_bind().dialect.name == "postgresql":
        for number in sorted(int.from_bytes(name[:8], signed=True) for name in names):
            await session.execute(select(func.pg_advisory_xact_lock(number)))


@dataclass(frozen=True, slots=True)
class Order:
    """What accounts are sorted by. `id` decides between equals, so that the order is the same every time."""

    column: InstrumentedAttribute[Any]
    descending: bool

    @classmethod
    def of(cls, sort: str) -> "Order":
        name = sort.removeprefix("-")
        columns = {
            "created_at": User.created_at,
            "updated_at": User.updated_at,
            "username": User.username_key,
            "email": User.email_key,
        }
        return cls(columns[name], sort.startswith("-"))

    def apply(self, users: Select[User]) -> Select[User]:
        parts = (self.column, User.id)
        return users.order_by(*(part.desc() if self.descending else part.asc() for part in parts))

    def after(self, value: Any, user_id: UUID) -> ColumnElement[bool]:
        """What comes after an account: one comparison of pairs, which an index answers on both databases."""
        position = tuple_(literal(value, self.column.type), literal(user_id, User.id.type))
        pair = tuple_(self.column, User.id)
        return pair < position if self.descending else pair > position


def matching(filters: UserFilters) -> list[ColumnElement[bool]]:
    """The conditions of a search."""
    conditions: list[ColumnElement[bool]] = []
    if filters.q is not None:
        pattern = fold(filters.q)
        for special in (_ESCAPE, "%", "_"):
            pattern = pattern.replace(special, _ESCAPE + special)
        conditions.append(User.search_text.like(f"%{pattern}%", escape=_ESCAPE))
    if filters.role is not None:
        conditions.append(User.role == filters.role)
    if filters.status is not None:
        conditions.append(User.status == filters.status)
    if filters.verified_only:
        conditions.append(User.is_verified.is_(True))
    if filters.created_after is not None:
        conditions.append(User.created_at >= filters.created_after)
    if filters.created_before is not None:
        conditions.append(User.created_at <= filters.created_before)
    return conditions


async def page_of_users(
    session: AsyncSession, filters: UserFilters, page: int, size: int
) -> tuple[Sequence[User], int]:
    """One page, and how many accounts match."""
    conditions = matching(filters)
    total = await session.scalar(select(func.count()).select_from(User).where(*conditions)) or 0
    users = Order.of(filters.sort).apply(select(User).where(*conditions))
    found = await session.scalars(users.offset((page - 1) * size).limit(size))
    return found.all(), total


async def users_after(
    session: AsyncSession, filters: UserFilters, position: tuple[Any, UUID] | None, limit: int
) -> Sequence[User]:
    """The accounts after a position, which is a value of the sorted column and an id."""
    order = Order.of(filters.sort)
    users = select(User).where(*matching(filters))
    if position is not None:
        users = users.where(order.after(*position))
    return (await session.scalars(order.apply(users).limit(limit))).all()


def matching_audit(actor_id: UUID | None, target_id: UUID | None, action: str | None) -> list[ColumnElement[bool]]:
    """The conditions of a search in the audit log."""
    filters = {AuditEntry.actor_id: actor_id, AuditEntry.target_id: target_id, AuditEntry.action: action}
    return [column == value for column, value in filters.items() if value is not None]


async def page_of_audit(session: AsyncSession, wanted: AuditPageRequest) -> tuple[Sequence[AuditEntry], int]:
    """One page of the audit log, newest first, and how many entries match."""
    conditions = matching_audit(wanted.actor_id, wanted.target_id, wanted.action)
    total = await session.scalar(select(func.count()).select_from(AuditEntry).where(*conditions)) or 0
    entries = select(AuditEntry).where(*conditions).order_by(AuditEntry.time.desc(), AuditEntry.id.desc())
    found = await session.scalars(entries.offset((wanted.page - 1) * wanted.size).limit(wanted.size))
    return found.all(), total


def sorted_value(user: User, sort: str) -> datetime | str:
    """The value of an account that a sort goes by."""
    value: datetime | str = getattr(user, Order.of(sort).column.key)
    return value
