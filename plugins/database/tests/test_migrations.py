"""The tables of plugins: made, kept up to date, and left alone when their plugin is off."""

import asyncio
import shutil
import subprocess
import sys
from textwrap import dedent

import pytest
from sqlalchemy import MetaData, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient

from powerstrip import Plugin, PluginSettings, StartError, hookimpl
from powerstrip_database import Database, Tables


async def ask(url, question):
    """What a stranger sees in the database: rows, or what an inspecting function returns."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        if callable(question):
            found = await connection.run_sync(lambda sync: question(inspect(sync)))
        else:
            found = [tuple(row) for row in await connection.execute(text(question))]
    await engine.dispose()
    return found


async def tables(url):
    return sorted(await ask(url, lambda inspector: inspector.get_table_names()))


async def start_and_stop(app):
    async with app.router.lifespan_context(app):
        pass


@pytest.fixture
def newer(notes, tmp_path, monkeypatch):
    """A copy of the revisions of notes in which a test may write: a package `newer`."""
    folder = tmp_path / "packages"
    shutil.copytree(notes.FOLDER / "migrations", folder / "newer", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "newer", raising=False)

    class Newer(notes.Notes):
        """Keeps notes, in tables whose history goes on."""

        @hookimpl
        def register_tables(self):
            return [Tables(notes.Note.metadata, "newer")]

    return Newer, folder / "newer"


def revision(number, upgrade):
    return dedent(
        f'''\
        """revision {number}"""

        import sqlalchemy as sa
        from alembic import op

        revision = "{number:04}"
        down_revision = "{number - 1:04}"


        def upgrade():
            {upgrade}


        def downgrade():
            pass
        '''
    )


async def test_the_start_makes_the_tables_and_notes_the_version_of_each_plugin(compose, database_url):
    await start_and_stop(compose())

    assert await tables(database_url) == ["alembic_version_notes", "notes", "notes_tags"]
    assert await ask(database_url, "SELECT version_num FROM alembic_version_notes") == [("0002",)]


async def test_a_second_start_changes_nothing(compose, database_url):
    await start_and_stop(compose())
    await start_and_stop(compose())

    assert await ask(database_url, "SELECT version_num FROM alembic_version_notes") == [("0002",)]


@pytest.fixture
async def tagged_note(running, notes):
    """The database holds a note with a tag."""
    async with running() as services, services[Database].transaction() as session:
        note = notes.Note(title="one")
        session.add(note)
        await session.flush()
        session.add(notes.Tag(note_id=note.id, place=1, name="blue"))


async def test_rows_survive_a_migration_and_so_does_what_refers_to_them(compose, database_url, newer, tagged_note):
    plugin, folder = newer
    # On SQLite, this copies the table and drops the old one, which the tag refers to.
    (folder / "0003_longer.py").write_text(
        revision(
            3,
            'with op.batch_alter_table("notes") as notes: notes.alter_column("title", type_=sa.String(200), '
            "existing_type=sa.String(100), existing_nullable=False)",
        )
    )

    await start_and_stop(compose(extra={"notes": plugin}))

    assert await ask(database_url, "SELECT version_num FROM alembic_version_notes") == [("0003",)]
    assert await ask(database_url, "SELECT name FROM notes_tags JOIN notes ON notes.id = note_id") == [("blue",)]


async def test_a_migration_that_leaves_dangling_references_is_refused(compose, database_url, newer, tagged_note):
    plugin, folder = newer
    (folder / "0003_forgets.py").write_text(revision(3, 'op.execute("DELETE FROM notes")'))

    with pytest.raises(StartError, match="notes_tags"):
        await start_and_stop(compose(extra={"notes": plugin}))
    assert await ask(database_url, "SELECT name FROM notes_tags JOIN notes ON notes.id = note_id") == [("blue",)]


async def test_a_migration_that_fails_leaves_everything_as_it_was_and_names_the_plugin(compose, database_url, newer):
    plugin, folder = newer
    (folder / "0003_fails.py").write_text(
        revision(3, 'op.create_table("half", sa.Column("id", sa.Integer())); op.execute("no SQL")')
    )

    with pytest.raises(StartError, match=r"the revisions of 'notes' fail: .*syntax error"):
        await start_and_stop(compose(extra={"notes": plugin}))
    assert [name for name in await tables(database_url) if not name.startswith("alembic")] == []

    (folder / "0003_fails.py").unlink()
    await start_and_stop(compose(extra={"notes": plugin}))
    assert "notes" in await tables(database_url)


async def test_check_refuses_to_start_and_says_what_to_run(compose, database_url):
    with pytest.raises(StartError, match=r"notes 0001, notes 0002\. Run `powerstrip db upgrade`"):
        await start_and_stop(compose({"migrate": "check"}))
    assert await tables(database_url) == []

    await start_and_stop(compose())
    await start_and_stop(compose({"migrate": "check"}))


async def test_off_does_not_look(compose, database_url):
    await start_and_stop(compose({"migrate": "off"}))

    assert await tables(database_url) == []


@pytest.mark.parametrize("migrate", ["auto", "check"])
async def test_a_database_of_a_newer_version_is_refused(compose, database_url, newer, migrate):
    plugin, folder = newer
    (folder / "0003_more.py").write_text(revision(3, 'op.create_table("more", sa.Column("id", sa.Integer()))'))
    await start_and_stop(compose(extra={"notes": plugin}))

    with pytest.raises(StartError, match=r"the tables of 'notes' don't fit the revisions in .*newer version"):
        await start_and_stop(compose({"migrate": migrate}))
    assert "more" in await tables(database_url)


async def test_the_tables_of_a_plugin_that_is_off_stay_as_they_are(compose, database_url):
    await start_and_stop(compose())
    before = await tables(database_url)

    await start_and_stop(compose(plugins={"notes": False}))

    assert await tables(database_url) == before


async def test_plugins_have_histories_of_their_own(compose, database_url, tmp_path, monkeypatch):
    (tmp_path / "packages" / "lists").mkdir(parents=True)
    text_of = revision(1, 'op.create_table("lists", sa.Column("id", sa.Integer()))').replace('"0000"', "None")
    (tmp_path / "packages" / "lists" / "0001.py").write_text(text_of)
    monkeypatch.syspath_prepend(tmp_path / "packages")

    class Lists(Plugin[PluginSettings]):
        """Keeps lists."""

        @hookimpl
        def register_tables(self):
            return [Tables(MetaData(), "lists")]

    await start_and_stop(compose(plugins={"lists": True}, extra={"lists": Lists}))

    assert await ask(database_url, "SELECT version_num FROM alembic_version_lists") == [("0001",)]
    assert await ask(database_url, "SELECT version_num FROM alembic_version_notes") == [("0002",)]


def owner_of(*tables):
    class Owner(Plugin[PluginSettings]):
        """Owns tables."""

        @hookimpl
        def register_tables(self):
            return list(tables)

    return Owner


async def test_revisions_that_are_not_there_are_a_clear_error(compose):
    owner = owner_of(Tables(MetaData(), "no.such.package"))

    with pytest.raises(StartError, match=r"'owner' has its revisions in 'no\.such\.package', and there is no such"):
        await start_and_stop(compose(plugins={"owner": True}, extra={"owner": owner}))


async def test_two_plugins_that_want_one_table_are_both_named(compose, notes):
    owner = owner_of(Tables(notes.Note.metadata, "database_sample.migrations"))

    with pytest.raises(StartError, match=r"plugins '\w+' and '\w+' both want a table 'notes'") as failure:
        await start_and_stop(compose(plugins={"owner": True}, extra={"owner": owner}))
    assert "'owner'" in str(failure.value)


async def test_a_plugin_has_one_history(compose, notes):
    tables = Tables(notes.Note.metadata, "database_sample.migrations")

    with pytest.raises(StartError, match="'owner' registers two histories"):
        await start_and_stop(
            compose(plugins={"owner": True, "notes": False}, extra={"owner": owner_of(tables, tables)})
        )


STARTER = """
import asyncio, sys
from database_sample import Notes
from powerstrip import create_app
from powerstrip.testing.installed import discovery_with

async def main():
    app = create_app(sys.argv[1], discovery=discovery_with({"notes": Notes}))
    async with app.router.lifespan_context(app):
        print("started")

asyncio.run(main())
"""


def test_processes_that_start_at_once_migrate_once(powerstrip_config, database_url):
    path = powerstrip_config({"database": {"url": database_url}, "notes": True})
    command = [sys.executable, "-c", STARTER, str(path)]

    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].decode() for process in started]

    assert ["started" in output for output in outputs] == [True] * 2, outputs
    assert asyncio.run(ask(database_url, "SELECT version_num FROM alembic_version_notes")) == [("0002",)]


def test_folders_and_files_are_for_the_owner_only(compose_on, tmp_path):
    path = tmp_path / "data" / "notes.db"
    with TestClient(compose_on(f"sqlite+aiosqlite:///{path}")) as client:
        client.post("/notes", params={"title": "one"})
        modes = {entry.name: oct(entry.stat().st_mode & 0o777) for entry in [path.parent, *path.parent.iterdir()]}

    assert modes.pop("data") == "0o700"
    assert modes.keys() >= {"notes.db", "notes.db-wal"}
    assert set(modes.values()) == {"0o600"}
