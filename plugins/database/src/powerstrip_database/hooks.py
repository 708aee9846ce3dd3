"""The hooks that database opens to other plugins."""

from collections.abc import Sequence

from powerstrip import hookspec
from powerstrip_database.statements import StatementObserver
from powerstrip_database.tables import Tables


class DatabaseHooks:
    """What a plugin can tell database. Both are called while database starts, and when a reload changes who tells."""

    @hookspec
    def register_tables(self) -> Sequence[Tables]:  # type: ignore[empty-body]
        """The tables this plugin owns: they are made and changed by its own migrations, before it starts."""

    @hookspec
    def register_statement_observers(self) -> Sequence[StatementObserver]:  # type: ignore[empty-body]
        """Who wants to know of every statement, how long it took and whether it failed: metrics, say."""
