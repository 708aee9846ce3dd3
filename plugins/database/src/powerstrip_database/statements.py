"""How long statements take: told to the request they serve, to observers, and to the log when they are slow."""

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, ExceptionContext, event

logger = logging.getLogger(__name__)

_STARTED = "powerstrip_statement_started"
_LONGEST_LOGGED = 2_000  # characters: an insert of many rows has megabytes


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that has run: its text with placeholders, never values, and how many seconds it took."""

    sql: str
    seconds: float
    failed: bool


class StatementObserver(Protocol):
    """Somebody who wants to know of every statement."""

    def observe(self, statement: Statement) -> None:
        """Called after each statement, on the event loop: it must be quick. What it raises is logged."""
        ...


@dataclass(slots=True)
class RequestStatements:
    """The statements that one request has run so far."""

    seconds: float = 0.0


request_statements: ContextVar[RequestStatements | None] = ContextVar("powerstrip_database_request", default=None)


class StatementWatch:
    """Times the statements of the engines it is attached to."""

    def __init__(self, observers: Sequence[StatementObserver], *, slow: float | None, echo: bool) -> None:
        self._observers = observers
        self._slow = float("inf") if slow is None else slow
        self._echo = echo

    def tell(self, observers: Sequence[StatementObserver]) -> None:
        """Tell these from now on, in place of the others."""
        self._observers = observers

    def attach(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._started)
        event.listen(engine, "after_cursor_execute", self._ended)
        event.listen(engine, "handle_error", self._failed)

    def _started(self, connection: Connection, *_others: Any) -> None:
        connection.info[_STARTED] = perf_counter()

    def _ended(self, connection: Connection, _cursor: Any, sql: str, *_others: Any) -> None:
        self._report(sql, perf_counter() - connection.info.pop(_STARTED), failed=False)

    def _failed(self, context: ExceptionContext) -> None:
        connection = context.connection
        if connection is not None and not connection.invalidated and context.statement is not None:
            started = connection.info.pop(_STARTED, None)
            if started is not None:
                self._report(context.statement, perf_counter() - started, failed=True)

    def _report(self, sql: str, seconds: float, *, failed: bool) -> None:
        request = request_statements.get()
        if request is not None:
            request.seconds += seconds
        if self._echo or seconds >= self._slow:
            level, text = (logging.WARNING, "slow statement") if seconds >= self._slow else (logging.INFO, "statement")
            logger.log(level, text, extra={"sql": sql[:_LONGEST_LOGGED], "seconds": round(seconds, 4)})
        if self._observers:
            self._tell(Statement(sql, seconds, failed))

    def _tell(self, statement: Statement) -> None:
        for observer in self._observers:
            try:
                observer.observe(statement)
            except Exception:
                logger.exception("an observer of statements failed", extra={"observer": type(observer).__qualname__})
