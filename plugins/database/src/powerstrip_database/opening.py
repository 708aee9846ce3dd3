"""From settings to a database that can be used, and back."""

from collections.abc import AsyncGenerator, Sequence
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


@asynccontextmanager
async def opened(
    settings: DatabaseSettings, hooks: HookCalls, migrate: Migrate
) -> AsyncGenerator[tuple[Database, Migrations]]:
    """Connect, bring the tables up to date as `migrate` says, and close all connections at the end.

    Raises UnreachableError and MigrationError.
    """
    engines = _open(settings, _observers(hooks))
    try:
        await _reach(engines, settings)
        migrations = Migrations(engines.migrate, collect_histories(hooks))
        await _bring_up_to_date(migrations, migrate)
        yield Database(engines), migrations
    finally:
        await engines.dispose()


def _observers(hooks: HookCalls) -> Sequence[StatementObserver]:
    return [observer for _, own in hooks.call_each("register_statement_observers") for observer in own or ()]


def _open(settings: DatabaseSettings, observers: Sequence[StatementObserver]) -> Engines:
    watch = StatementWatch(observers, slow=settings.slow_statement, echo=settings.echo)
    if settings.address.get_backend_name() == "sqlite":
        return open_sqlite(settings, watch)
    return open_postgresql(settings, watch)


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
