"""`powerstrip db`, as operators and plugin authors type it."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest


@pytest.fixture
def install(notes, tmp_path, monkeypatch):
    """Installs a copy of the sample plugin, editable unless told otherwise; gives the folder of its revisions."""

    def do(folder="sources"):
        site = tmp_path / folder
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(notes.FOLDER, site / "database_sample", ignore=ignored)
        info = site / "notes-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notes\nVersion: 1.0\nSummary: Notes\n")
        (info / "entry_points.txt").write_text("[powerstrip.plugins]\nnotes = database_sample:Notes\n")
        monkeypatch.syspath_prepend(site)
        return site / "database_sample" / "migrations"

    return do


@pytest.fixture
def type_anew(type_line, monkeypatch):
    """Types `powerstrip ...` where nobody has imported the sample plugin yet, from wherever it was."""

    def do(*line):
        for name in [name for name in sys.modules if name.partition(".")[0] == "database_sample"]:
            monkeypatch.delitem(sys.modules, name)
        return type_line(*line)

    return do


@pytest.fixture
def db(type_anew, powerstrip_config, database_url):
    """Types `powerstrip db ...` for a config with database and notes."""
    path = powerstrip_config({"database": {"url": database_url, "migrate": "check"}, "notes": True})
    return lambda *line: type_anew("db", *line, "--config", path)


def test_from_an_empty_database_to_a_new_revision(install, db):
    revisions = install()

    missing = db("check")
    assert missing.exit_code == 1, missing.stderr
    assert missing.stdout.splitlines() == [
        "notes  0001  pending  notes",
        "notes  0002  pending  tags and stars",
        "2 revisions pending: run `powerstrip db upgrade`",
    ]

    upgraded = db("upgrade")
    assert upgraded.exit_code == 0, upgraded.stderr
    assert upgraded.stdout.splitlines() == [
        "notes  0001  applied  notes",
        "notes  0002  applied  tags and stars",
        "2 revisions applied, all up to date",
    ]

    models = revisions.parent / "models.py"
    models.write_text(
        models.read_text().replace("stars: Mapped", "read_at: Mapped[datetime | None]\n    stars: Mapped")
    )
    differs = db("check", "--json")
    assert differs.exit_code == 1
    assert json.loads(differs.stdout) == {"pending": [], "drift": {"notes": ["add_column notes read_at"]}}

    written = db("revision", "notes", "-m", "when it was read")
    assert written.exit_code == 0, written.stderr
    script = revisions / "0003_when_it_was_read.py"
    assert written.stdout == f"wrote {script}\n"
    assert "sa.Column('read_at', UTCDateTime(), nullable=True)" in script.read_text()
    assert "from powerstrip_database import UTCDateTime" in script.read_text()

    assert db("upgrade", "notes").exit_code == 0
    history = json.loads(db("history", "notes", "--json").stdout)
    assert [(entry["id"], entry["applied"]) for entry in history] == [("0001", True), ("0002", True), ("0003", True)]


@pytest.fixture
def sqlite_db(type_anew, powerstrip_config, sqlite_url):
    path = powerstrip_config({"database": {"url": sqlite_url}, "notes": True})
    return lambda *line: type_anew("db", *line, "--config", path)


def test_a_revision_is_not_begun_before_the_tables_are_up_to_date(install, sqlite_db):
    revisions = install()
    before = sorted(revisions.iterdir())

    refused = sqlite_db("revision", "notes", "-m", "more")

    assert refused.exit_code == 1
    assert "run `powerstrip db upgrade notes` first" in refused.stderr
    assert sorted(revisions.iterdir()) == before


def test_a_revision_is_not_written_into_an_installed_package(install, sqlite_db):
    revisions = install("site-packages")
    before = sorted(revisions.iterdir())
    sqlite_db("upgrade")

    refused = sqlite_db("revision", "notes", "-m", "more")

    assert refused.exit_code == 1
    assert "pip install --editable" in refused.stderr
    assert sorted(path for path in revisions.iterdir() if path.name != "__pycache__") == before


def test_what_is_up_to_date_is_left_as_it_is(install, sqlite_db):
    install()
    sqlite_db("upgrade")

    assert sqlite_db("upgrade").stdout == "all up to date\n"
    assert sqlite_db("check").stdout == "all up to date\n"


def test_a_missing_index_of_an_expression_is_told_and_written_into_a_revision(install, sqlite_db, sqlite_url):
    revisions = install()
    sqlite_db("upgrade")
    with sqlite3.connect(sqlite_url.partition("///")[2]) as connection:
        connection.execute("DROP INDEX ix_notes_tags_lower_name")
    connection.close()

    differs = sqlite_db("check")
    sqlite_db("revision", "notes", "-m", "find tags")

    assert differs.stdout == "notes  differs  add_index ix_notes_tags_lower_name\n"
    assert "lower(name)" in (revisions / "0003_find_tags.py").read_text()
    assert sqlite_db("upgrade").exit_code == 0
    assert sqlite_db("check").stdout == "all up to date\n"


def test_a_plugin_without_tables_is_told_from_those_that_have_some(install, sqlite_db):
    install()

    refused = sqlite_db("upgrade", "health")

    assert refused.exit_code == 1
    assert "no plugin 'health' with tables of its own is on; those that are: notes" in refused.stderr


def test_looking_changes_nothing_in_the_database(install, sqlite_db, sqlite_url):
    install()
    sqlite_db("history")

    with sqlite3.connect(sqlite_url.partition("///")[2]) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    connection.close()
    assert found == []


def test_a_database_that_can_not_be_opened_is_one_line_without_its_password(install, type_anew, powerstrip_config):
    install()
    url = "postgresql://ann:hunter2@127.0.0.1:1/shop"
    path = powerstrip_config({"database": {"url": url}, "notes": True})

    refused = type_anew("db", "check", "--config", path)

    assert refused.exit_code == 1
    assert "can't open postgresql+asyncpg://ann:***@127.0.0.1:1/shop" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_command_that_needs_the_tables_finds_them_migrated(install, type_anew, powerstrip_config, sqlite_url):
    install()
    path = powerstrip_config({"database": {"url": sqlite_url}, "notes": True})

    counted = type_anew("notes", "count", "--config", path)

    assert counted.stdout == "0\n", counted.stderr
    assert Path(sqlite_url.partition("///")[2]).exists()
