"""Sessions for path operations."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import service
from powerstrip_database.service import Database

_Database = Annotated[Database, Depends(service(Database))]


async def _write(database: _Database) -> AsyncGenerator[AsyncSession]:
    async with database.transaction() as session:
        yield session


async def _read(database: _Database) -> AsyncGenerator[AsyncSession]:
    async with database.reading() as session:
        yield session


# Function scope: FastAPI ends it after the path operation has returned and before the response leaves.
WriteSession = Annotated[AsyncSession, Depends(_write, scope="function")]
"""A session whose transaction begins with its first statement and commits before the response leaves.

A client that sees the answer finds the change, and a failed commit is an error answer. An exception rolls back, a
`Problem` too; an answer that is returned commits, whatever its status.
"""

ReadSession = Annotated[AsyncSession, Depends(_read, scope="function")]
"""A session that can't write and sees the database as it was at its first statement."""
