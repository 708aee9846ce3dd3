"""Times and ids: the same from both databases."""

import time
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from powerstrip_database import new_id


async def through_the_database(database, notes, moment):
    async with database.transaction() as session:
        session.add(notes.Note(title="one", written_at=moment))
    async with database.reading() as session:
        return await session.scalar(select(notes.Note.written_at))


async def test_a_time_comes_back_as_the_same_moment_in_utc(database, notes):
    moment = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    found = await through_the_database(database, notes, moment)

    assert found == moment
    assert found.tzinfo is UTC


async def test_no_time_stays_no_time(database, notes):
    assert await through_the_database(database, notes, None) is None


async def test_a_time_without_a_zone_is_refused(database, notes):
    with pytest.raises(StatementError, match="has no time zone"):
        await through_the_database(database, notes, datetime(2026, 7, 1))  # noqa: DTZ001 - that is the point


async def test_times_can_be_compared_in_the_database(database, notes):
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    later = moment.astimezone(timezone(timedelta(hours=-8))) + timedelta(microseconds=1)
    await through_the_database(database, notes, moment)

    async with database.reading() as session:
        question = select(notes.Note.title).where(notes.Note.written_at < later)
        assert await session.scalar(question) == "one"


def test_ids_are_uuids_of_version_7():
    for made in (new_id() for _ in range(1_000)):
        assert made.version == 7
        assert made.variant == uuid.RFC_4122


def test_ids_sort_by_the_time_they_were_made():
    before = time.time_ns() // 1_000_000
    early = new_id()
    while time.time_ns() // 1_000_000 <= before + 1:
        pass
    late = new_id()

    assert early < late
    assert abs((early.int >> 80) - before) < 1_000


def test_ids_never_repeat():
    assert len({new_id() for _ in range(10_000)}) == 10_000
