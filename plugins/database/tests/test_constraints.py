"""Which constraint was violated: the same name from both databases."""

import traceback
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import IntegrityError

from powerstrip_database import constraint_of, new_id

FIRST = new_id()


@pytest.fixture
async def violate(database, notes):
    """Runs statements after one note with one tag was made; gives the IntegrityError of the last."""
    async with database.transaction() as session:
        session.add(notes.Note(id=FIRST, title="one"))
        await session.flush()
        session.add(notes.Tag(id=1, note_id=FIRST, name="blue", place=1))

    async def do(statement):
        with pytest.raises(IntegrityError) as failure:
            async with database.transaction() as session:
                await session.execute(statement)
        return failure.value

    return do


STATEMENTS = {
    "uq_notes_title": lambda notes: insert(notes.Note).values(title="one"),
    "pk_notes": lambda notes: insert(notes.Note).values(id=FIRST, title="two"),
    "ck_notes_stars": lambda notes: update(notes.Note).values(stars=-1),
    "uq_notes_tags_note_id_place": lambda notes: insert(notes.Tag).values(id=2, note_id=FIRST, name="red", place=1),
    "ix_notes_tags_lower_name": lambda notes: insert(notes.Tag).values(id=2, note_id=FIRST, name="BLUE", place=2),
    "fk_notes_tags_note_id_notes": lambda notes: insert(notes.Tag).values(id=2, note_id=new_id(), name="red", place=1),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_violated_constraint_is_named(violate, notes, name):
    assert constraint_of(await violate(STATEMENTS[name](notes))) == name


async def test_a_foreign_key_is_named_when_a_row_that_is_referred_to_is_deleted(violate, notes):
    assert constraint_of(await violate(delete(notes.Note))) == "fk_notes_tags_note_id_notes"


async def test_a_missing_value_has_no_constraint(violate, notes):
    assert constraint_of(await violate(insert(notes.Note).values(title=None))) is None


async def test_an_object_that_is_flushed_tells_it_like_a_statement(database, notes):
    async with database.transaction() as session:
        session.add(notes.Note(title="one"))
    with pytest.raises(IntegrityError) as failure:
        async with database.transaction() as session:
            session.add(notes.Note(title="one", written_at=datetime.now(UTC)))

    assert constraint_of(failure.value) == "uq_notes_title"


async def test_the_error_repeats_no_values(violate, notes):
    error = await violate(insert(notes.Note).values(id=FIRST, title="s3cret"))

    shown = "".join(traceback.format_exception(error))
    assert "ConstraintViolation" in shown
    assert "s3cret" not in shown
    assert str(FIRST) not in shown
    assert FIRST.hex not in shown


async def test_after_a_savepoint_is_rolled_back_the_transaction_goes_on(database, notes):
    async with database.transaction() as session:
        session.add(notes.Note(title="one"))
        await session.flush()
        with suppress(IntegrityError):
            async with session.begin_nested():
                session.add(notes.Note(title="one"))
        session.add(notes.Note(title="two"))
    async with database.reading() as session:
        assert await session.scalar(text("SELECT count(*) FROM notes")) == 2
