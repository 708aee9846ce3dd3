"""What a scenario has left behind: threads, open files, tasks, what nobody closed, and errors the host logged."""

import asyncio
import gc
import logging
import os
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

ResultT = TypeVar("ResultT")

_SCENARIO_LIMIT = 60.0
_THREADS_MAY_END_WITHIN = 2.0
_TASKS_MAY_END_WITHIN = 0.2
_LOGGERS = ("powerstrip.host", "asyncio")


def run(what: str, scenario: Callable[[], Awaitable[ResultT]], *, expecting: str | None = None) -> ResultT:
    """Run a scenario in an event loop of its own. AssertionError when it leaves anything behind.

    Errors that the host logs count, but for those whose text begins with what is expected.
    """

    async def watched() -> tuple[ResultT, list[str]]:
        async with asyncio.timeout(_SCENARIO_LIMIT):
            result = await scenario()
        return result, await _tasks_left()

    with leaving_nothing(what, expecting=expecting), asyncio.Runner() as runner:
        result, tasks = runner.run(watched())
    assert not tasks, (
        f"{what}: {', '.join(tasks)} still running. Cancel and await your tasks when the lifespan is left, or register "
        "them as BackgroundTasks; never swallow CancelledError."
    )
    return result


@contextmanager
def leaving_nothing(what: str, *, expecting: str | None = None) -> Iterator[None]:
    """AssertionError when the block leaves a thread or an open file behind, or the host logged an error in it."""
    threads = set(threading.enumerate())
    files = open_files()
    with _errors_logged() as errors, warnings.catch_warnings(record=True) as seen, _garbage_of_the_block():
        warnings.simplefilter("always", ResourceWarning)
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        yield
    left = [*threads_since(threads), *(f"open {target}" for target in files_since(files))]
    left += [str(warning.message) for warning in seen if issubclass(warning.category, ResourceWarning | RuntimeWarning)]
    errors = [line for line in errors if expecting is None or not line.startswith(f"'{expecting}")]
    assert not errors, f"{what}: the host had to log {'; '.join(errors)}"
    assert not left, f"{what} leaves behind: {'; '.join(left)}. Close in the lifespan what it has opened."


@contextmanager
def _garbage_of_the_block() -> Iterator[None]:
    """Collects what the block made, and leaves alone what was there before: looking at all of it takes too long."""
    gc.freeze()
    try:
        yield
        gc.collect()
    finally:
        gc.unfreeze()


def threads_since(before: set[threading.Thread]) -> list[str]:
    """The threads that were started since and do not end by themselves."""
    deadline = time.monotonic() + _THREADS_MAY_END_WITHIN
    started = [thread for thread in threading.enumerate() if thread not in before]
    for thread in started:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"thread '{thread.name}'" for thread in started if thread.is_alive()]


def open_files() -> dict[str, str]:
    """The open file descriptors of this process and what they lead to; empty where the system does not tell."""
    found: dict[str, str] = {}
    folder = Path("/proc/self/fd")
    for link in folder.iterdir() if folder.exists() else ():
        try:
            found[link.name] = os.readlink(link)
        except OSError:  # the one that listing the folder had open
            continue
    return found


def files_since(before: dict[str, str]) -> list[str]:
    """What was opened since and is still open."""
    return sorted(target for number, target in open_files().items() if before.get(number) != target)


async def _tasks_left() -> list[str]:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:  # those that were just cancelled need a moment to notice
        await asyncio.wait(others, timeout=_TASKS_MAY_END_WITHIN)
    return sorted(f"task '{task.get_name()}'" for task in others if not task.done())


@contextmanager
def _errors_logged() -> Iterator[list[str]]:
    handler = _Collector(logging.ERROR)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        owner = getattr(record, "plugin", None)
        parts = [f"'{record.getMessage()}'", f"of plugin '{owner}'" if owner else "", repr(error) if error else ""]
        self.lines.append(" ".join(part for part in parts if part))
