"""Failures to sign in, and the locks that they lead to. In the database, so that all processes count together."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip_users.domain import Client, fold
from powerstrip_users.keys import KeyRing
from powerstrip_users.models import Attempts
from powerstrip_users.settings import SignInSettings
from powerstrip_users.storage import insert_into, lock_for_transaction

_MOST_DOUBLINGS = 20
_MOST_MAILS = 3


@dataclass(frozen=True, slots=True)
class AttemptKeys:
    """Under which name and from which address somebody tries to sign in, as keyed hashes."""

    account: bytes
    client: bytes


@dataclass(frozen=True, slots=True)
class Locks:
    """Until when the name and the address are locked, where they are, and whether the name has failures at all."""

    account: datetime | None = None
    client: datetime | None = None
    has_failures: bool = False


class AttemptLimits:
    """Counts failures per name, known or not, and per address. Each failure above the limit doubles the lock."""

    def __init__(self, ring: KeyRing, settings: SignInSettings) -> None:
        self._ring = ring
        self._settings = settings
        # Made once: making a statement takes as long as running it.
        counted = select(Attempts.key, Attempts.locked_until)
        self._counted = counted.where(Attempts.key.in_(bindparam("keys", expanding=True)))

    def keys(self, name: str, client: Client) -> AttemptKeys:
        return AttemptKeys(
            account=self._ring.sign("attempts-account", fold(name.strip()).encode()),
            client=self._ring.sign("attempts-client", client.network.encode()),
        )

    async def take_turns(self, session: AsyncSession, keys: AttemptKeys) -> None:
        """Wait until nobody else judges an attempt under this name or from this address; others wait until the
        transaction ends. So each attempt sees all failures before it, however many are made at once."""
        await lock_for_transaction(session, (keys.account, keys.client))

    async def locks(self, session: AsyncSession, keys: AttemptKeys, now: datetime) -> Locks:
        """What is locked now."""
        rows = (await session.execute(self._counted, {"keys": (keys.account, keys.client)})).all()
        locked = {row.key: row.locked_until for row in rows if row.locked_until is not None and row.locked_until > now}
        counted = {row.key for row in rows}
        return Locks(locked.get(keys.account), locked.get(keys.client), keys.account in counted)

    async def count_failure(self, session: AsyncSession, keys: AttemptKeys, now: datetime) -> None:
        # The same order everywhere: two transactions that count both can't wait for each other.
        limits = {keys.account: self._settings.account_failures, keys.client: self._settings.client_failures}
        for key in sorted(limits):
            failures = await self._add(session, key, now)
            if failures >= limits[key]:
                lock = min(2 ** min(failures - limits[key], _MOST_DOUBLINGS), self._settings.longest_lock)
                until = now + timedelta(seconds=lock)
                await session.execute(update(Attempts).where(Attempts.key == key).values(locked_until=until))

    async def forget(self, session: AsyncSession, account: bytes) -> None:
        """Begin to count anew for a name: its owner has proved to be who he is."""
        await session.execute(delete(Attempts).where(Attempts.key == account))

    async def is_flood(self, session: AsyncSession, subject: str, now: datetime) -> bool:
        """Count one of the mails that strangers can have sent; whether it is one too many within the window."""
        key = self._ring.sign("attempts-mail", fold(subject).encode())
        return await self._add(session, key, now) > _MOST_MAILS

    async def _add(self, session: AsyncSession, key: bytes, now: datetime) -> int:
        oldest = now - timedelta(seconds=self._settings.window)
        insert = insert_into(session, Attempts).values(key=key, failures=1, last_at=now)
        counted = case((Attempts.last_at < oldest, 1), else_=Attempts.failures + 1)
        upsert = insert.on_conflict_do_update(
            index_elements=[Attempts.key], set_={"failures": counted, "last_at": now}
        ).returning(Attempts.failures)
        return int((await session.execute(upsert)).scalar_one())
