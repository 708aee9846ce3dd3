"""The SQL of social."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_database import constraint_of
from powerstrip_social.models import Follow, Post


async def posts(session: AsyncSession, author: UUID | None, before: UUID | None, limit: int) -> Sequence[Post]:
    """Posts of one person or of all, newest first."""
    return await _page(session, select(Post).where(*_by(author)), before, limit)


def all_posts(author: UUID | None) -> Select[Any]:
    """The same as rows, as many as there are and in no order: what an export reads."""
    rows: Any = select(Post.id, Post.author_id, Post.text, Post.written_at)
    chosen: Select[Any] = rows.where(*_by(author))
    return chosen


def _by(author: UUID | None) -> list[ColumnElement[bool]]:
    return [] if author is None else [Post.author_id == author]


async def posts_for(session: AsyncSession, reader: UUID, before: UUID | None, limit: int) -> Sequence[Post]:
    """Posts of those whom somebody follows, newest first."""
    followed = select(Follow.followed_id).where(Follow.follower_id == reader)
    return await _page(session, select(Post).where(Post.author_id.in_(followed)), before, limit)


async def _page(session: AsyncSession, question: Select[Post], before: UUID | None, limit: int) -> Sequence[Post]:
    if before is not None:
        question = question.where(Post.id < before)
    return (await session.scalars(question.order_by(Post.id.desc()).limit(limit))).all()


async def add_follow(session: AsyncSession, follower: UUID, followed: UUID, since: datetime) -> None:
    """Follow; that one is followed already is fine. IntegrityError `ck_social_follows_not_oneself` for oneself."""
    try:
        async with session.begin_nested():
            await session.execute(insert(Follow).values(follower_id=follower, followed_id=followed, since=since))
    except IntegrityError as error:
        if constraint_of(error) != "pk_social_follows":
            raise


async def remove_follow(session: AsyncSession, follower: UUID, followed: UUID) -> None:
    await session.execute(delete(Follow).where(Follow.follower_id == follower, Follow.followed_id == followed))


async def remove_person(session: AsyncSession, person: UUID) -> None:
    """All that there is of somebody."""
    await session.execute(delete(Post).where(Post.author_id == person))
    await session.execute(delete(Follow).where(or_(Follow.follower_id == person, Follow.followed_id == person)))


async def count_posts(session: AsyncSession, person: UUID) -> int:
    return await _count(session, select(func.count()).select_from(Post).where(Post.author_id == person))


async def count_followers(session: AsyncSession, person: UUID) -> int:
    return await _count(session, select(func.count()).select_from(Follow).where(Follow.followed_id == person))


async def count_following(session: AsyncSession, person: UUID) -> int:
    return await _count(session, select(func.count()).select_from(Follow).where(Follow.follower_id == person))


async def _count(session: AsyncSession, question: Select[int]) -> int:
    return (await session.execute(question)).scalar_one()
