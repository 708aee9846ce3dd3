"""What can go wrong with an export.

Problem
├── Forbidden 403            ├── BadRequest 400             ├── NotFound 404
│   └── ExportTooLarge           ├── FormatNotInstalled         └── FileGone
├── Conflict 409             │   └── ColumnNotKnown         └── ServiceUnavailable 503
│   └── JobNotFinished                                          └── ExportsBusy
"""

from powerstrip import BadRequest, Conflict, Forbidden, NotFound, PowerstripError, ServiceUnavailable


class ColumnNotKnown(BadRequest):
    """`columns` names one that the source has not."""

    message = "This source has no such column."


class FormatNotInstalled(BadRequest):
    """The format or compression needs a library that this server has not."""

    message = "This server can't write that format."


class ExportTooLarge(Forbidden):
    """More rows or bytes than the caller's roles allow."""

    message = "This export is larger than your roles allow: filter it."


class ExportsBusy(ServiceUnavailable):
    """As many exports as allowed are running: in this process, or for this caller."""

    message = "Too many exports are running: try again later."

    def __init__(self, message: str | None = None, *, retry_after: int = 10) -> None:
        """`retry_after` is in seconds."""
        super().__init__(message, headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class JobNotFinished(Conflict):
    """The job's file is not there yet, or never will be."""

    message = "This export is not finished."


class FileGone(NotFound):
    """The job's file has expired."""

    message = "The file of this export has expired."


class StreamTimeoutError(PowerstripError):
    """A stream took longer than `stream_timeout`: its connection is broken off."""


class SourceError(PowerstripError):
    """A source breaks the contract: its rows don't have its columns, or there is nothing to read."""
