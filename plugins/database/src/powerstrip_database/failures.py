"""What a driver's error means: the database is not available, a constraint is violated, or a mistake of ours."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Dialect, Engine, ExceptionContext, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from powerstrip_database.constraints import violation
from powerstrip_database.errors import Cause, DatabaseUnavailable

logger = logging.getLogger(__name__)

CauseOf = Callable[[BaseException], Cause | None]


class Failures:
    """Turns errors of the drivers into `DatabaseUnavailable` and `ConstraintViolation` where they are raised, so that
    nobody has to know which of their errors mean what. All others pass.
    """

    def __init__(self, cause_of: CauseOf, retry_after: int) -> None:
        """`cause_of` tells why an error of the driver makes the database unavailable, or None if it doesn't."""
        self._cause_of = cause_of
        self._retry_after = retry_after
        self._is_away = False

    def attach(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "handle_error", self._explain)

    def unavailable(self, cause: Cause) -> DatabaseUnavailable:
        return DatabaseUnavailable(cause, self._retry_after)

    @contextmanager
    def of_pool(self) -> Iterator[None]:
        """Raises DatabaseUnavailable when no connection gets free in time."""
        try:
            yield
        except NoFreeConnection as error:
            logger.warning("no connection to the database got free in time")
            raise self.unavailable(Cause.BUSY) from error

    def _connect(self, dialect: Dialect, _record: Any, arguments: Any, options: Any) -> Any:
        try:
            connection = dialect.connect(*arguments, **options)
        except Exception as error:
            self._note(error, Cause.UNREACHABLE)
            raise self.unavailable(Cause.UNREACHABLE) from error
        if self._is_away:
            self._is_away = False
            logger.info("the database is back")
        return connection

    def _explain(self, context: ExceptionContext) -> Exception | None:
        error = context.original_exception
        if not isinstance(error, Exception):  # a cancelled request
            return None
        cause = Cause.LOST if context.is_disconnect else self._cause_of(error)
        if cause is not None:
            # Whatever the network did in the middle of a statement, this connection is not to be used again.
            context.is_disconnect = context.is_disconnect or isinstance(error, OSError)
            self._note(error, cause)
            return self.unavailable(cause)
        return violation(context) if isinstance(context.sqlalchemy_exception, IntegrityError) else None

    def _note(self, error: Exception, cause: Cause) -> None:
        if cause is Cause.CONFLICT:  # all in a day's work: it is tried again
            return
        away = cause in (Cause.UNREACHABLE, Cause.LOST)
        # An outage is one line, not one for each request that it costs.
        if not (away and self._is_away):
            reason = str(error).partition("\n")[0]
            logger.warning(
                "the database is not available",
                extra={"cause": cause.value, "reason": f"{type(error).__name__}: {reason}"},
            )
        self._is_away = self._is_away or away
