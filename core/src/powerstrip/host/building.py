"""build: off the event loop, which is serving, and with a limit for the time that a plugin's code takes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from powerstrip.contract.errors import StartError
from powerstrip.host.logs import current_owner

ResultT = TypeVar("ResultT")

_LOOK_INTERVAL = 0.1  # seconds between two looks at who keeps the work waiting


class Builder:
    """Runs one function after the other in a thread, and gives up on one that hangs in a plugin's code.

    `limit` is the time in seconds that one plugin may take. A thread can't be ended: while one still hangs, no other
    is begun.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._hanging: _Work[Any] | None = None

    async def run(self, function: Callable[[], ResultT]) -> ResultT:
        """Whatever it returns or raises. Raises StartError for the plugin that takes too long."""
        if self._hanging is not None and not self._hanging.done():
            culprit = self._hanging.context.get(current_owner) or "powerstrip"
            raise StartError(culprit, "build", "hangs since it was built the last time: only a restart can help")
        self._hanging = None
        work = _Work(function)
        owner: str | None = None
        since = monotonic()
        while not work.done():
            await asyncio.wait([work.outcome], timeout=_LOOK_INTERVAL)
            at_work = work.context.get(current_owner)
            if at_work != owner:
                owner, since = at_work, monotonic()
            elif owner is not None and monotonic() - since > self.limit and not work.done():
                self._hanging = work
                reason = f"took longer than {self.limit:g} s to be imported and to say what it brings"
                raise StartError(owner, "build", reason)
        return work.outcome.result()


class _Work(Generic[ResultT]):
    """A function in a thread of its own: a daemon, so that a hanging plugin can't keep the process from ending."""

    def __init__(self, function: Callable[[], ResultT]) -> None:
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[ResultT] = self._loop.create_future()
        self.context = copy_context()
        self._function: list[Callable[[], ResultT]] = [function]
        Thread(target=self.context.run, args=(self._run,), name="powerstrip:build", daemon=True).start()

    def done(self) -> bool:
        return self.outcome.done()

    def _run(self) -> None:
        try:
            # Taken out: a thread that has yet to end, on a busy machine, would keep the generation before.
            result = self._function.pop()()
        except BaseException as error:  # noqa: BLE001 - handed over to the task that waits for the outcome
            self._tell(self.outcome.set_exception, error)
        else:
            self._tell(self.outcome.set_result, result)

    def _tell(self, settle: Callable[[Any], None], value: Any) -> None:
        def settle_unless_cancelled() -> None:
            if not self.outcome.done():
                settle(value)

        with suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(settle_unless_cancelled)
