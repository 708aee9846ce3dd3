"""PostgreSQL: its connections, kept fresh, and what its errors mean."""

from time import monotonic
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it comes without types
from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from powerstrip_database.engines import FOR_MIGRATIONS, Engines, attach
from powerstrip_database.errors import Cause
from powerstrip_database.failures import Failures
from powerstrip_database.settings import DatabaseSettings
from powerstrip_database.statements import StatementWatch

_RESTS_SINCE = "powerstrip_rests_since"
# The server stops a statement that takes too long; when not even that is heard, the connection is given up.
_GRACE = 5.0
# Beginnings of SQLSTATE codes (PostgreSQL's documentation, appendix A).
_CAUSES = (
    ("08", Cause.LOST),
    ("57P", Cause.LOST),  # shut down, crashed, still starting
    ("53", Cause.BUSY),  # too many connections, disk full, out of memory
    ("55P03", Cause.BUSY),  # a lock was not available in time
    ("57014", Cause.SLOW),  # cancelled by statement_timeout
    ("40001", Cause.CONFLICT),  # serialization failure
    ("40P01", Cause.CONFLICT),  # deadlock
)


def open_postgresql(settings: DatabaseSettings, watch: StatementWatch) -> Engines:
    """Make the engines; nothing is connected yet."""
    failures = Failures(_cause_of, settings.retry_after)
    timeout = settings.statement_timeout
    write = create_async_engine(
        settings.address.difference_update_query(["application_name"]),
        connect_args={
            "timeout": settings.connect_timeout,
            "command_timeout": timeout + _GRACE,
            "server_settings": {**_server_settings(settings), "statement_timeout": str(round(timeout * 1000))},
        },
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=settings.max_age,
        hide_parameters=True,
    )
    migrate = create_async_engine(
        settings.address.difference_update_query(["application_name"]),
        connect_args={"timeout": settings.connect_timeout, "server_settings": _server_settings(settings)},
        **FOR_MIGRATIONS,
        hide_parameters=True,
    )
    _keep_fresh(write, settings.ping_after, settings.connect_timeout)
    for engine in (write, migrate):
        attach(engine, failures, watch)
    # The same pool: a snapshot that can't write, as a reading connection to SQLite has it.
    read = write.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines("postgresql", write, read, migrate, failures)


def _server_settings(settings: DatabaseSettings) -> dict[str, str]:
    name = settings.address.query.get("application_name", "powerstrip")
    return {"application_name": name if isinstance(name, str) else name[-1]}


def _keep_fresh(engine: AsyncEngine, ping_after: float, timeout: float) -> None:
    """Notice connections that have gone stale before they are used. SQLAlchemy's own `pool_pre_ping` costs three round
    trips each time."""

    def returned(_connection: Any, record: Any) -> None:
        record.info[_RESTS_SINCE] = monotonic()

    def taken(connection: Any, record: Any, _fairy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        rests_since = record.info.get(_RESTS_SINCE)
        if rests_since is not None and monotonic() - rests_since >= ping_after:
            try:
                connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=timeout))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise InvalidatePoolError from error

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)


def _cause_of(error: BaseException) -> Cause | None:
    if isinstance(error, TimeoutError):
        return Cause.SLOW
    if isinstance(error, OSError):
        return Cause.LOST
    if isinstance(error.__cause__, asyncpg.InvalidCachedStatementError):
        return Cause.CONFLICT  # with a migration that another process has just run; the next attempt prepares anew
    code = getattr(error, "sqlstate", None) or ""
    return next((cause for beginning, cause in _CAUSES if code.startswith(beginning)), None)
