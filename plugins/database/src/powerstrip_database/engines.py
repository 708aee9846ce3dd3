"""The connections: one pool that writes, one that reads, and single connections for migrations."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from powerstrip_database.failures import Failures
from powerstrip_database.statements import StatementWatch

DialectName = Literal["sqlite", "postgresql"]


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
