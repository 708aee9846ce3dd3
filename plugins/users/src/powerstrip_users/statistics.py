"""Numbers about a user that plugins contribute to the profile."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class UserStatistic:
    """A number in the profile: `count(session, user_id)` reads it in the profile's own read-only session.

    `name` is the field's: `posts_count`, `followers_count` and `following_count` are there from the start
    and 0 until a plugin contributes them; any other name adds a field.
    """

    name: str
    count: Callable[[AsyncSession, UUID], Awaitable[int]]
