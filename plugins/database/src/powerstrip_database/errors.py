"""What can go wrong with a database as a whole.

    PowerstripError
    ├── UnreachableError              the database can't be opened at the start
    └── MigrationError                tables and code don't fit; says what to do

    ServiceUnavailable (a Problem, 503)
    └── DatabaseUnavailable           with `Retry-After`; `cause` says why

What is wrong with one statement stays SQLAlchemy's: `sqlalchemy.exc.IntegrityError` and its siblings.
"""

from enum import Enum

from powerstrip import PowerstripError, ServiceUnavailable


class Cause(Enum):
    """Why the database can't answer, and what that means for the transaction."""

    UNREACHABLE = "the server can't be reached"
    LOST = "the connection was lost"
    IN_DOUBT = "the connection was lost while committing: the change may be there or not"
    CONFLICT = "the transaction collided with another one"
    BUSY = "too many others are waiting"
    SLOW = "a statement took too long"


_IN_DOUBT = "The database went away while it saved this: look whether it did before you try again."


class DatabaseUnavailable(ServiceUnavailable):
    """The database can't answer at the moment. Nothing was changed, unless `cause` is `IN_DOUBT`."""

    message = "The database is not available at the moment."

    def __init__(self, cause: Cause, retry_after: int) -> None:
        """`retry_after` is in seconds."""
        self.cause = cause
        message = _IN_DOUBT if cause is Cause.IN_DOUBT else None
        super().__init__(message, headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class UnreachableError(PowerstripError):
    """The database can't be opened. The message holds no password."""


class MigrationError(PowerstripError):
    """The tables in the database and those that the code needs don't fit together."""
