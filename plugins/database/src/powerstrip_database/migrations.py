"""Brings the tables of the plugins up to date: one Alembic history and one version table for each.

Alembic keeps the running migration in module variables (`alembic.op`), so two applications in one process can't migrate
two databases at the same moment.
"""

import logging
from argparse import Namespace
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from powerstrip_database.comparison import comparing_indexes_by_name
from powerstrip_database.errors import DatabaseUnavailable, MigrationError
from powerstrip_database.histories import History

logger = logging.getLogger(__name__)

_ENVIRONMENT = Path(__file__).parent / "environment"
_LOCK = 0x706F776572  # "power": any number will do, if all workers use the same


@dataclass(frozen=True, slots=True)
class Revision:
    """One step in the history of a plugin's tables."""

    plugin: str
    id: str
    message: str
    applied: bool


class Migrations:
    """The histories of all plugins in one database."""

    def __init__(self, engine: AsyncEngine, histories: Sequence[History]) -> None:
        """`engine` must begin transactions that write, without a time limit for statements."""
        self._engine = engine
        self._histories = histories

    def take(self, histories: Sequence[History]) -> None:
        """Know these from now on, in place of the others."""
        self._histories = histories

    def select(self, plugin: str | None) -> Sequence[History]:
        """The history of one plugin, or all. Raises MigrationError for a plugin without tables."""
        if plugin is None:
            return self._histories
        found = [history for history in self._histories if history.plugin == plugin]
        if not found:
            names = ", ".join(history.plugin for history in self._histories) or "none"
            raise MigrationError(f"no plugin '{plugin}' with tables of its own is on; those that are: {names}")
        return found

    async def history(self, plugin: str | None = None) -> list[Revision]:
        """All revisions, oldest first. Raises MigrationError when the database is ahead of the code."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(self._revisions, self.select(plugin))

    async def pending(self, plugin: str | None = None) -> list[Revision]:
        """The revisions that are still to be applied."""
        return [revision for revision in await self.history(plugin) if not revision.applied]

    async def upgrade(self, plugin: str | None = None) -> list[Revision]:
        """Apply what is pending, plugin by plugin, in one transaction: all of it or nothing.

        Whoever else wants to do the same at this moment, here or on another machine, waits and then finds it done.
        Returns what was applied. Raises MigrationError.
        """
        histories = self.select(plugin)
        if not await self.pending(plugin):
            return []
        async with self._alone() as connection:
            applied = [entry for entry in await connection.run_sync(self._revisions, histories) if not entry.applied]
            for history in histories:
                await connection.run_sync(_run, history, command.upgrade, "heads")
            await _check_foreign_keys(connection)
        applied = [replace(revision, applied=True) for revision in applied]
        for revision in applied:
            what = {"plugin": revision.plugin, "revision": revision.id, "about": revision.message}
            logger.info("tables migrated", extra=what)
        return applied

    async def drift(self, plugin: str | None = None) -> dict[str, list[str]]:
        """How the tables differ from what the code describes, by plugin; no entry for one whose tables don't."""
        async with self._engine.connect() as connection:
            found = {entry.plugin: await connection.run_sync(_differences, entry) for entry in self.select(plugin)}
        return {name: differences for name, differences in found.items() if differences}

    async def create(self, plugin: str, message: str) -> Path:
        """Write a revision that leads from the tables in the database to those that the code describes.

        Raises MigrationError when the database is not up to date.
        """
        [history] = self.select(plugin)
        if await self.pending(plugin):
            raise MigrationError(
                f"the tables of '{plugin}' are not up to date: run `powerstrip db upgrade {plugin}` first"
            )
        number = len(list(_scripts(history).walk_revisions())) + 1
        options = {"message": message, "autogenerate": True, "rev_id": f"{number:04}"}
        async with self._engine.connect() as connection:  # nothing is committed
            with comparing_indexes_by_name():
                script = await connection.run_sync(_run, history, command.revision, **options)
        return Path(script.path)

    def _revisions(self, connection: Connection, histories: Sequence[History]) -> list[Revision]:
        return [revision for history in histories for revision in _revisions_of(connection, history)]

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[AsyncConnection]:
        # On SQLite, the transaction itself keeps others out.
        async with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield connection


def _revisions_of(connection: Connection, history: History) -> list[Revision]:
    scripts = _scripts(history)
    with _explained(history):
        heads = MigrationContext.configure(connection, opts=_options(connection, history)).get_current_heads()
        applied = {script.revision for script in scripts.iterate_revisions(heads, "base")}
        newest_first = list(scripts.walk_revisions())
    return [
        Revision(history.plugin, script.revision, script.doc, script.revision in applied)
        for script in reversed(newest_first)
    ]


def _differences(connection: Connection, history: History) -> list[str]:
    context = MigrationContext.configure(connection, opts=_options(connection, history))
    with comparing_indexes_by_name():
        return [_describe(change) for change in compare_metadata(context, history.metadata)]


def _describe(change: Any) -> str:
    # Alembic gives a tuple (what, object...) for each change, or a list of such tuples for one column.
    if isinstance(change, list):
        return "; ".join(_describe(part) for part in change)
    what, *objects = change
    names = (getattr(entry, "name", entry) for entry in objects)
    return f"{what} {' '.join(str(name) for name in names if isinstance(name, str))}"


def _run(connection: Connection, history: History, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    config = _config(history)
    config.attributes.update(_options(connection, history), connection=connection)
    try:
        return action(config, *arguments, **options)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # revisions are a plugin's own code and may raise anything
        reason = str(error).partition("\n")[0]
        raise MigrationError(f"the revisions of '{history.plugin}' fail: {type(error).__name__}: {reason}") from error


def _options(connection: Connection, history: History) -> dict[str, Any]:
    """What Alembic has to know, in the terms of `EnvironmentContext.configure`."""
    own = history.metadata.tables
    return {
        "version_table": history.version_table,
        "target_metadata": history.metadata,
        "render_as_batch": connection.dialect.name == "sqlite",
        # Tables of other plugins are not ours to compare with, nor to drop.
        "include_name": lambda name, kind, _parents: kind != "table" or name in own,
    }


def _scripts(history: History) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(history))


def _config(history: History) -> Config:
    config = Config(cmd_opts=Namespace(quiet=True))  # what is printed is the command's business
    options = {
        "script_location": str(_ENVIRONMENT),
        "version_locations": str(history.folder),
        "path_separator": "newline",
        "file_template": "%(rev)s_%(slug)s",
    }
    for name, value in options.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


@contextmanager
def _explained(history: History) -> Iterator[None]:
    try:
        yield
    except (CommandError, RevisionError) as error:
        reason = str(error).partition("\n")[0]
        raise MigrationError(
            f"the tables of '{history.plugin}' don't fit the revisions in {history.folder}: {reason}. "
            "If a newer version of the plugin has migrated them, install that one again"
        ) from error


async def _check_foreign_keys(connection: AsyncConnection) -> None:
    """SQLite doesn't watch foreign keys while a migration copies tables."""
    if connection.dialect.name == "sqlite":
        broken = (await connection.execute(text("PRAGMA foreign_key_check"))).first()
        if broken is not None:
            raise MigrationError(
                f"a migration leaves rows in '{broken[0]}' that refer to missing rows of '{broken[2]}'"
            )
