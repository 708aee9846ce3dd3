"""What a plugin's code may raise without taking the host down with it."""

import asyncio

CONTAINED = (Exception, asyncio.CancelledError, SystemExit)
"""`sys.exit()` in a plugin ends no server, and a cancellation that a plugin makes up is a failure like others."""


def contained(error: BaseException) -> Exception:
    """The failure as an `Exception`; what must not be contained, a cancellation from outside, say, is raised on."""
    if isinstance(error, Exception):
        return error
    if not isinstance(error, CONTAINED):
        raise error
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
    failure = RuntimeError(f"the plugin's code raised {type(error).__name__}")
    failure.__cause__ = error
    return failure
