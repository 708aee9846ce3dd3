"""`powerstrip db`: the tables of the plugins, from the command line."""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from powerstrip import CommandRunner
from powerstrip_database.errors import MigrationError
from powerstrip_database.migrations import Migrations, Revision

ResultT = TypeVar("ResultT")

# The folders that pip installs into.
_INSTALLED = frozenset(("site-packages", "dist-packages"))

PluginName = Annotated[str | None, typer.Argument(metavar="PLUGIN", help="Only the tables of this plugin.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def database_commands(runner: CommandRunner, leave_tables_alone: Callable[[], None]) -> typer.Typer:
    """The group `db`; `leave_tables_alone` keeps the start of the database from migrating."""
    commands = _Commands(runner, leave_tables_alone)
    group = typer.Typer(name="db", help="Look after the tables of the plugins.", no_args_is_help=True)
    for command in (commands.upgrade, commands.check, commands.history, commands.revision):
        group.command()(command)
    return group


class _Commands:
    def __init__(self, runner: CommandRunner, leave_tables_alone: Callable[[], None]) -> None:
        self._runner = runner
        self._leave_tables_alone = leave_tables_alone

    def upgrade(self, plugin: PluginName = None) -> None:
        """Bring the tables up to date: all of it or, when something fails, nothing."""
        applied = self._run(lambda migrations: migrations.upgrade(plugin))
        _print_revisions(applied)
        typer.echo(f"{_count(applied)} applied, all up to date" if applied else "all up to date")

    def check(self, plugin: PluginName = None, as_json: AsJson = False) -> None:
        """Tell what is missing in the tables, and what differs from the code; exit code 1 if anything is."""
        pending, drift = self._run(lambda migrations: _look(migrations, plugin))
        if as_json:
            typer.echo(json.dumps({"pending": [asdict(revision) for revision in pending], "drift": drift}, indent=2))
        else:
            _print_findings(pending, drift)
        if pending or drift:
            raise typer.Exit(1)

    def history(self, plugin: PluginName = None, as_json: AsJson = False) -> None:
        """List the revisions, oldest first, and which of them are applied."""
        revisions = self._run(lambda migrations: migrations.history(plugin))
        if as_json:
            typer.echo(json.dumps([asdict(revision) for revision in revisions], indent=2))
        else:
            _print_revisions(revisions)

    def revision(
        self,
        plugin: Annotated[str, typer.Argument(metavar="PLUGIN", help="Whose tables have changed.")],
        message: Annotated[str, typer.Option("--message", "-m", help="What the revision does.")],
    ) -> None:
        """Write a revision that leads from the tables as they are to those that the plugin's code describes."""
        typer.echo(f"wrote {self._run(lambda migrations: _write(migrations, plugin, message))}")

    def _run(self, work: Callable[[Migrations], Awaitable[ResultT]]) -> ResultT:
        self._leave_tables_alone()
        return self._runner.run(lambda services: work(services[Migrations]))


async def _look(migrations: Migrations, plugin: str | None) -> tuple[list[Revision], dict[str, list[str]]]:
    pending = await migrations.pending(plugin)
    # Before the revisions are applied, every difference they make would be told a second time.
    return pending, {} if pending else await migrations.drift(plugin)


async def _write(migrations: Migrations, plugin: str, message: str) -> Path:
    [history] = migrations.select(plugin)
    _refuse_installed(history.folder)
    return await migrations.create(plugin, message)


def _refuse_installed(folder: Path) -> None:
    """Revisions are written into a plugin's sources, never into an installed copy that the next install replaces."""
    if _INSTALLED & set(folder.parts) or not os.access(folder, os.W_OK):
        raise MigrationError(
            f"revisions would be written to {folder}, which is not yours to change: "
            "install the plugin from its sources with `pip install --editable`"
        )


def _print_revisions(revisions: Sequence[Revision]) -> None:
    for revision in revisions:
        state = "applied" if revision.applied else "pending"
        typer.echo(f"{revision.plugin}  {revision.id}  {state}  {revision.message}")


def _print_findings(pending: Sequence[Revision], drift: dict[str, Any]) -> None:
    _print_revisions(pending)
    for plugin, differences in drift.items():
        for difference in differences:
            typer.echo(f"{plugin}  differs  {difference}")
    if pending:
        typer.echo(f"{_count(pending)} pending: run `powerstrip db upgrade`")
    elif not drift:
        typer.echo("all up to date")


def _count(revisions: Sequence[Revision]) -> str:
    return f"{len(revisions)} revision{'' if len(revisions) == 1 else 's'}"
