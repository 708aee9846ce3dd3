"""The service that other plugins use: sessions and transactions."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import QueuePool, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from powerstrip_database.engines import DialectName, Engines
from powerstrip_database.errors import Cause, DatabaseUnavailable

ResultT = TypeVar("ResultT")

_ATTEMPTS = 5
_FIRST_PAUSE = 0.02  # seconds; doubled each time, and blurred so that two don't collide again


class Database:
    """SQLite or PostgreSQL, with the same promises on both.

    - A session that writes sees what it wrote; others see it after the commit, never before.
    - `reading` gives a snapshot: one moment of the database, whatever is written meanwhile.
    - Objects stay readable after their session is closed.
    - A lost database raises DatabaseUnavailable, and works again when it is back. A violated constraint raises
      SQLAlchemy's IntegrityError; `constraint_of` says which.

    On SQLite one transaction writes at a time. Writers queue up with their first statement, so keep what is slow, like
    hashing a password or calling another service, out of transactions.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._failures = engines.failures
        self._write = async_sessionmaker(engines.write, expire_on_commit=False)
        self._read = async_sessionmaker(engines.read, expire_on_commit=False, autoflush=False)

    @property
    def dialect(self) -> DialectName:
        return self._engines.dialect

    @property
    def engine(self) -> AsyncEngine:
        """For what sessions can't do. On SQLite it has the one connection that writes: give it back soon."""
        return self._engines.write

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session whose transaction begins with its first statement, and commits when the context is left.

        An exception rolls back. Raises DatabaseUnavailable; if its cause is `IN_DOUBT`, the connection was lost while
        committing, in all other cases nothing was changed.
        """
        return self._transaction()

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that can't write. Raises DatabaseUnavailable."""
        return self._reading()

    async def retrying(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        """Run `work` in a transaction, again when it collided with another one or its connection was lost.

        `work` may run several times, so all its effects must be in the database. It is never run again after a commit
        that may have succeeded. Raises what `work` raises, and DatabaseUnavailable.
        """
        pause = _FIRST_PAUSE
        for _ in range(_ATTEMPTS - 1):
            try:
                async with self._transaction() as session:
                    return await work(session)
            except DatabaseUnavailable as error:
                if error.cause not in (Cause.CONFLICT, Cause.LOST):
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause *= 2
        async with self._transaction() as session:
            return await work(session)

    async def probe(self) -> Mapping[str, Any]:
        """Ask the database for something; returns facts about it. Raises DatabaseUnavailable."""
        started = perf_counter()
        async with self._reading() as session:
            # Reads a page of the file, where SQLite would answer a mere `SELECT 1` without looking.
            question = "SELECT count(*) FROM sqlite_schema" if self.dialect == "sqlite" else "SELECT 1"
            await session.execute(text(question))
        latency = round((perf_counter() - started) * 1000, 2)
        return {"dialect": self.dialect, "latency_ms": latency, "connections": self._connections()}

    def _connections(self) -> Mapping[str, int]:
        pools = {engine.pool for engine in (self._engines.write, self._engines.read)}
        return {
            "in_use": sum(pool.checkedout() for pool in pools if isinstance(pool, QueuePool)),
            "idle": sum(pool.checkedin() for pool in pools if isinstance(pool, QueuePool)),
        }

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncSession]:
        with self._failures.of_pool():
            async with self._write() as session:
                yield session
                try:
                    await session.commit()
                except DatabaseUnavailable as error:
                    if error.cause in (Cause.LOST, Cause.SLOW):
                        raise self._failures.unavailable(Cause.IN_DOUBT) from error
                    raise

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[AsyncSession]:
        with self._failures.of_pool():
            async with self._read() as session:
                yield session
