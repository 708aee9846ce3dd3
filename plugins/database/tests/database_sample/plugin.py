from collections.abc import Sequence
from typing import ClassVar

import typer
from fastapi import APIRouter, Depends
from sqlalchemy import func, select, text

from database_sample.models import Note, Table
from powerstrip import CommandRunner, Conflict, Plugin, PluginSettings, Routes, Services, hookimpl, public
from powerstrip_database import Database, ReadSession, Tables, WriteSession

router = APIRouter(prefix="/notes", dependencies=[Depends(public)])


@router.post("", status_code=201)
async def write(title: str, session: WriteSession) -> dict[str, str]:
    note = Note(title=title)
    session.add(note)
    await session.flush()
    return {"id": str(note.id)}


@router.post("/late")
async def write_without_looking(title: str, session: WriteSession) -> None:
    session.add(Note(title=title))  # the database is asked when the session commits


@router.post("/refused")
async def write_and_refuse(title: str, session: WriteSession) -> None:
    session.add(Note(title=title))
    await session.flush()
    raise Conflict


@router.post("/broken")
async def write_and_break(title: str, session: WriteSession) -> None:
    session.add(Note(title=title))
    await session.flush()
    raise RuntimeError("broken")


@router.get("/count")
async def count(session: ReadSession) -> int:
    return await session.scalar(select(func.count()).select_from(Note)) or 0


@router.post("/slow")
async def look_for_a_while(session: ReadSession, title: str = "") -> None:
    slow = {
        "postgresql": "SELECT pg_sleep(0.25) AS notes WHERE CAST(:title AS text) IS NOT NULL",
        "sqlite": "WITH RECURSIVE notes(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM notes LIMIT 4000000) "
        "SELECT max(i) FROM notes WHERE :title IS NOT NULL",
    }
    await session.execute(text(slow[session.get_bind().dialect.name]), {"title": title})


@router.get("/titles")
async def titles(session: ReadSession) -> list[str]:
    return list(await session.scalars(select(Note.title)))


@router.post("/through-a-reader")
async def write_through_a_reader(title: str, session: ReadSession) -> None:
    session.add(Note(title=title))
    await session.flush()


class Notes(Plugin[PluginSettings]):
    """Keeps notes."""

    requires: ClassVar = ("database",)

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router, version=None)]

    @hookimpl
    def register_tables(self) -> Sequence[Tables]:
        return [Tables(Table.metadata, "database_sample.migrations")]

    @hookimpl
    def register_commands(self, runner: CommandRunner) -> Sequence[typer.Typer]:
        group = typer.Typer(name="notes")

        async def counted(services: Services) -> int:
            async with services[Database].reading() as session:
                return await count(session)

        @group.callback()
        def notes() -> None:
            """Look at the notes."""

        @group.command(name="count")
        def print_count() -> None:
            typer.echo(runner.run(counted))

        return [group]
