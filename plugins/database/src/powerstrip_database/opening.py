"""From settings to a database that can be used, and back."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from powerstrip import HookCalls
from powerstrip_database.engines import Engines
from powerstrip_database.errors import DatabaseUnavailable, MigrationError, UnreachableError
from powerstrip_database.histories import collect_histories
from powerstrip_database.migrations import Migrations, Revision
from powerstrip_database.postgresql import open_postgresql
from powerstrip_database.service import Database
from powerstrip_database.settings import DatabaseSettings
from powerstrip_database.sqlite import make_room, open_sqlite
from powerstrip_database.statements import StatementObserver, StatementWatch

Migrate = Literal["auto", "check", "off"]


class OpenDatabase:
    """A database that can be used, and what other plugins contribute to it."""

    def __init__(self, engines: Engines, watch: StatementWatch, migrations: Migrations, migrate: Migrate) -> None:
        self.database = Database(engines)
        self.migrations = migrations
        self._engines = engines
        self._watch = watch
        self._migrate = migrate

    async def adapt(self, hooks: HookCalls) -> Callable[[], None]:
        """Make the tables that plugins bring now; returns what tells their observers. Raises MigrationError."""
        observers, histories = _observers(hooks), collect_histories(hooks)
        known = self.migrations.select(None)  # up to date since they came
        coming = [history for history in histories if history not in known]
        await _bring_up_to_date(Migrations(self._engines.migrate, coming), self._migrate)

        def switch_over() -> None:
            self._watch.tell(observers)
            self.migrations.take(histories)

        return switch_over


@asynccontextmanager
async def opened(settings: DatabaseSettings, hooks: HookCalls, migrate: Migrate) -> AsyncGenerator[OpenDatabase]:
    """Connect, bring the tables up to date as `migrate` says, and close all connections at the end.

    Raises UnreachableError and MigrationError.
    """
    watch = StatementWatch(_observers(hooks), slow=settings.slow_statement, echo=settings.echo)
    is_sqlite = settings.address.get_backend_name() == "sqlite"
    engines = open_sqlite(settings, watch) if is_sqlite else open_postgresql(settings, watch)
    try:
        await _reach(engines, settings)
        migrations = Migrations(engines.migrate, collect_histories(hooks))
        await _bring_up_to_date(migrations, migrate)
        yield OpenDatabase(engines, watch, migrations, migrate)
    finally:
        await engines.dispose()


def _observers(hooks: HookCalls) -> Sequence[StatementObserver]:
    return [observer for _, own in hooks.call_each("register_statement_observers") for observer in own or ()]


async def _reach(engines: Engines, settings: DatabaseSettings) -> None:
    try:
        if engines.dialect == "sqlite":
            make_room(settings.address)
        await Database(engines).probe()
    except (DatabaseUnavailable, SQLAlchemyError, OSError) as error:
        why = error.__cause__ or error
        reason = str(why).partition("\n")[0]
        raise UnreachableError(
            f"can't open {settings.address.render_as_string()}: {type(why).__name__}: {reason}"
        ) from error


async def _bring_up_to_date(migrations: Migrations, migrate: Migrate) -> None:
    if migrate == "auto":
        await migrations.upgrade()
    elif migrate == "check":
        _refuse(await migrations.pending())


def _refuse(pending: Sequence[Revision]) -> None:
    if pending:
        names = ", ".join(f"{revision.plugin} {revision.id}" for revision in pending)
        raise MigrationError(
            f"the tables are not up to date, these revisions are missing: {names}. Run `powerstrip db upgrade`"
        )
