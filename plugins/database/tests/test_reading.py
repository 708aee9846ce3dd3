"""Many rows: read at once, streamed, given up half-way, written with their answers."""

import pytest
from sqlalchemy import func, insert, select, text

MANY = 1_000  # more than a driver brings along with a statement


@pytest.fixture
async def full(database, notes):
    async with database.transaction() as session:
        await session.execute(insert(notes.Note), [{"title": f"{number:04}"} for number in range(MANY)])
    return database


async def test_all_rows_of_a_statement_are_there(full, notes):
    async with full.reading() as session:
        titles = (await session.scalars(select(notes.Note.title).order_by(notes.Note.title))).all()

    assert titles == [f"{number:04}" for number in range(MANY)]


@pytest.mark.parametrize("at_once", [1, 7, 256, 300, 5_000])
async def test_rows_can_be_streamed_piece_by_piece(full, notes, at_once):
    question = select(notes.Note.title).order_by(notes.Note.title).execution_options(yield_per=at_once)
    async with full.reading() as session:
        titles = [title async for title in await session.stream_scalars(question)]

    assert titles == [f"{number:04}" for number in range(MANY)]


async def test_a_stream_that_is_left_half_way_holds_nothing_up(full, notes):
    question = select(notes.Note.title).order_by(notes.Note.title).execution_options(yield_per=10)
    async with full.reading() as session:
        stream = await session.stream_scalars(question)
        assert [await anext(stream) for _ in range(3)] == ["0000", "0001", "0002"]
        await stream.close()
        assert await session.scalar(select(func.count()).select_from(notes.Note)) == MANY

    async with full.transaction() as session:
        await session.execute(text("DELETE FROM notes"))
    async with full.reading() as session:
        assert await session.scalar(select(func.count()).select_from(notes.Note)) == 0


async def test_many_rows_that_are_written_come_back(database, notes):
    rows = [{"title": f"{number:04}"} for number in range(MANY)]
    async with database.transaction() as session:
        written = insert(notes.Note).returning(notes.Note.title, sort_by_parameter_order=True)
        titles = (await session.scalars(written, rows)).all()

    assert titles == [row["title"] for row in rows]


async def test_two_statements_of_a_reading_see_the_same_moment_whatever_is_written_between(full, notes):
    count = select(func.count()).select_from(notes.Note)
    async with full.reading() as session:
        before = await session.scalar(count)
        async with full.transaction() as other:
            await other.execute(text("DELETE FROM notes"))

        assert (before, await session.scalar(count)) == (MANY, MANY)


async def test_a_connection_that_was_given_back_begins_anew(full, notes):
    count = select(func.count()).select_from(notes.Note)
    found = []
    for _ in range(3):
        async with full.reading() as session:
            found.append(await session.scalar(count))
        async with full.transaction() as session:
            await session.execute(text("DELETE FROM notes WHERE id IN (SELECT id FROM notes LIMIT 100)"))

    assert found == [MANY, MANY - 100, MANY - 200]
