"""Many made-up accounts, to develop and measure with."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, func, insert, select

from powerstrip import Clock
from powerstrip_database import Database, new_id
from powerstrip_users.domain import Role, Status, search_text
from powerstrip_users.models import User
from powerstrip_users.passwords import PasswordHasher

_BATCH = 5_000
_FIRST = ("Ada", "Alan", "Barbara", "Claude", "Donald", "Edsger", "Frances", "Grace", "Hedy", "John", "Karen", "Ken")
_LAST = ("Allen", "Backus", "Dijkstra", "Hamilton", "Hopper", "Knuth", "Lamarr", "Liskov", "Lovelace", "Turing")
_ROLES = (Role.USER,) * 8 + (Role.GUEST, Role.MODERATOR)
_STATUSES = (Status.ACTIVE,) * 8 + (Status.INACTIVE, Status.PENDING)


class Seeding:
    """Makes accounts that differ as real ones do, all with one password. The n-th is the same on each machine."""

    def __init__(self, database: Database, hasher: PasswordHasher, clock: Clock) -> None:
        self._database = database
        self._hasher = hasher
        self._clock = clock

    async def make(self, count: int, password: str, on_progress: Callable[[int], None]) -> None:
        """Add `count` accounts to those that were made before; `on_progress` hears how many there are so far."""
        password_hash = await self._hasher.hash(password)
        async with self._database.reading() as session:
            seeded = select(func.count()).select_from(User).where(User.email_key.like("seed%@example.com"))
            first = await session.scalar(seeded) or 0
        now = self._clock.now()
        for start in range(first, first + count, _BATCH):
            end = min(start + _BATCH, first + count)
            rows = list(_rows(range(start, end), password_hash, now))
            async with self._database.transaction() as session:
                await session.execute(insert(cast("Table", User.__table__)), rows)
            on_progress(end - first)


def _rows(numbers: range, password_hash: str, now: datetime) -> Iterator[dict[str, Any]]:
    for number in numbers:
        chance = random.Random(number)  # noqa: S311 - made-up people, no secrets
        email, username = f"seed{number}@example.com", f"seed{number}"
        full_name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
        created_at = now - timedelta(seconds=chance.random() * 31_536_000)
        yield {
            "id": new_id(),
            "email": email,
            "email_key": email,
            "username": username,
            "username_key": username,
            "full_name": full_name,
            "phone": f"+1555{number:07d}" if chance.random() < 0.5 else None,
            "search_text": search_text(email, username, full_name),
            "password_hash": password_hash,
            "status": chance.choice(_STATUSES),
            "role": chance.choice(_ROLES),
            "is_verified": chance.random() < 0.7,
            "last_login": None,
            "created_at": created_at,
            "updated_at": created_at,
            "version": 1,
            "access_version": 1,
        }
