from collections.abc import Sequence
from typing import ClassVar

from database_sample.models import Note, Table
from fastapi import APIRouter, Depends
from sqlalchemy import func, select

from powerstrip import Conflict, Plugin, PluginSettings, Routes, hookimpl, public
from powerstrip_database import ReadSession, Tables, WriteSession

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
