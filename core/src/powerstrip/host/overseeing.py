"""serve with several processes: the part of the process that watches over the workers that is not uvicorn's.

uvicorn's loop there is synchronous, so the coordinator has a thread and an event loop of its own.
"""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from powerstrip.contract.errors import PowerstripError
from powerstrip.host.config.config import Config
from powerstrip.host.triggers import Triggers, triggered
from powerstrip.host.workers import Coordinator, Sources

_START_LIMIT = 30.0


class Overseer:
    """Runs a coordinator and its triggers from when the context is entered until it is left.

    Workers find it at `path`, a socket in a folder of this user's own, and show `token`.
    """

    def __init__(self, sources: Sources, on_swap: Callable[[Config], None], control: Path | None) -> None:
        self._sources = sources
        self._on_swap = on_swap
        self._control = control
        self._folder = tempfile.TemporaryDirectory(prefix="powerstrip-")  # made with mode 0700
        self.path = os.path.join(self._folder.name, "workers.sock")
        self.token = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._triggers: Triggers | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="powerstrip:overseer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_LIMIT) or self._failure is not None:
            raise PowerstripError(f"the workers can't be watched over: {self._failure}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._folder.cleanup()

    def hang_up(self) -> None:
        """SIGHUP came, in whatever thread."""
        if self._triggers is not None:
            self._loop.call_soon_threadsafe(self._triggers.hang_up)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._oversee())

    async def _oversee(self) -> None:
        try:
            coordinator = Coordinator(self._sources, self._on_swap)
            self.token = coordinator.token
            server = await asyncio.start_unix_server(coordinator.admit, self.path)
        except BaseException as error:
            self._failure = error
            self._ready.set()
            raise
        async with server, triggered(coordinator, self._control) as self._triggers:
            self._ready.set()
            await self._stopping.wait()
