"""Which plugin owns which tables, and where its revisions are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import MetaData

from powerstrip import HookCalls
from powerstrip_database.errors import MigrationError
from powerstrip_database.tables import Tables


@dataclass(frozen=True, slots=True)
class History:
    """The tables of one plugin and the folder of the revisions that make them."""

    plugin: str
    metadata: MetaData
    folder: Path

    @property
    def version_table(self) -> str:
        """Each plugin has its own, so that one can come or go without the others."""
        return f"alembic_version_{self.plugin}"


def collect_histories(hooks: HookCalls) -> Sequence[History]:
    """What the plugins register with `register_tables`, in the order in which they start.

    Raises MigrationError when a plugin's revisions can't be found, when it registers two histories, or when two plugins
    want the same table.
    """
    histories = [_history(plugin, owned) for plugin, owned in hooks.call_each("register_tables") if owned]
    _refuse_shared_tables(histories)
    return histories


def _history(plugin: str, owned: Iterable[Tables]) -> History:
    tables, *others = owned
    if others:
        raise MigrationError(f"plugin '{plugin}' registers two histories of tables: describe them in one MetaData")
    try:
        found = find_spec(tables.migrations)
    except ModuleNotFoundError:
        found = None
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise MigrationError(
            f"plugin '{plugin}' has its revisions in '{tables.migrations}', and there is no such package"
        )
    return History(plugin, tables.metadata, Path(folders[0]))


def _refuse_shared_tables(histories: Iterable[History]) -> None:
    owners: dict[str, str] = {}
    for history in histories:
        for table in history.metadata.tables:
            owner = owners.setdefault(table, history.plugin)
            if owner != history.plugin:
                raise MigrationError(f"plugins '{owner}' and '{history.plugin}' both want a table '{table}'")
