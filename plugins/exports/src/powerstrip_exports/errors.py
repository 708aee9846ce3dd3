"""What can go wrong with an export.

Problem
├── BadRequest 400                    ├── NotFound 404
│   ├── ColumnNotKnown                │   ├── SourceNotKnown
│   └── FormatNotInstalled            │   └── FileGone
├── Forbidden 403                     ├── Conflict 409
│   └── ExportTooLarge                │   └── JobNotFinished
├── RateLimitExceeded 429             └── ServiceUnavailable 503
│   ├── TooManyJobs                       └── ExportsBusy
│   └── TooManyOpen
│       ├── TooManyDownloads
│       ├── TooManyStreams
│       └── TooManyWatches

PowerstripError
├── StreamTimeoutError
├── SourceError
└── ExtraMissingError
"""

from powerstrip import BadRequest, Conflict, Forbidden, NotFound, PowerstripError, RateLimitExceeded, ServiceUnavailable


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
    """As many streams as allowed are running in this process."""

    message = "Too many exports are running: try again later."

    def __init__(self, message: str | None = None, *, retry_after: int = 10) -> None:
        """`retry_after` is in seconds."""
        super().__init__(message, headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class TooManyJobs(RateLimitExceeded):
    """The caller has as many jobs waiting or running as its roles allow."""

    message = "You have as many exports waiting or running as your roles allow."


class TooManyOpen(RateLimitExceeded):
    """The caller has as much open at a time as its roles allow."""

    def __init__(self, message: str | None = None, *, retry_after: int = 10) -> None:
        """`retry_after` is in seconds."""
        super().__init__(message, headers={"Retry-After": str(retry_after)}, extra={"retry_after": retry_after})


class TooManyDownloads(TooManyOpen):
    """The caller fetches as many files, or parts of them, as its roles allow."""

    message = "You are fetching as many files as your roles allow: wait for the end of one."


class TooManyStreams(TooManyOpen):
    """The caller reads as many streams as its roles allow."""

    message = "You are reading as many exports as your roles allow: wait for the end of one."


class TooManyWatches(TooManyOpen):
    """The caller watches as many jobs as its roles allow."""

    message = "You are watching as many jobs as your roles allow: stop to watch one."


class SourceNotKnown(NotFound):
    """No plugin offers such a source."""

    message = "There is no such source."


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


class ExtraMissingError(PowerstripError):
    """A setting needs a library that is not installed."""
