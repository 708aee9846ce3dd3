"""The connections: one pool that writes, one that reads, and single connections for migrations."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine

from powerstrip_database.failures import Failures
from powerstrip_database.statements import StatementWatch

DialectName = Literal["sqlite", "postgresql"]

# Alembic makes its table anew each time. What was compiled of its statements would never be used again, and be kept.
FOR_MIGRATIONS: Mapping[str, Any] = MappingProxyType({"poolclass": NullPool, "query_cache_size": 0})


@dataclass(frozen=True, slots=True)
class Engines:
    """`write` and `read` may share one pool; `migrate` keeps no connection."""

    dialect: DialectName
    write: AsyncEngine
    read: AsyncEngine
    migrate: AsyncEngine
    failures: Failures

    async def dispose(self) -> None:
        """Close all connections."""
        for engine in (self.read, self.write, self.migrate):
            await engine.dispose()


def attach(engine: AsyncEngine, failures: Failures, watch: StatementWatch) -> AsyncEngine:
    """Time the engine's statements, and explain its errors."""
    watch.attach(engine.sync_engine)  # first: what explains an error replaces it
    failures.attach(engine.sync_engine)
    return engine
