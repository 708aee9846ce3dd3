"""serve: what makes a running server reload: SIGHUP, a change of its files, `powerstrip reload`."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from powerstrip.host.config.config import Config
from powerstrip.host.config.files import Sighting
from powerstrip.host.control import ControlError, listening
from powerstrip.host.reports import Report, failure, status, success
from powerstrip.host.supervisor import Supervisor
from powerstrip.host.watching import watch

logger = logging.getLogger(__name__)


class Reloader(Protocol):
    """What can be reloaded: one process, or all that serve together. Nothing of it raises."""

    @property
    def config(self) -> Config | None:
        """The config that is served; None before the first start is over."""
        ...

    @property
    def files(self) -> Sighting:
        """What the config was read from, or tried to be, the last time."""
        ...

    async def reload(self) -> Report: ...

    async def plan(self) -> Report: ...

    async def status(self) -> Report: ...


class OneProcess(Reloader):
    """A supervisor alone."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    @property
    def config(self) -> Config | None:
        current = self._supervisor.current
        return current.composition.config if current else None

    @property
    def files(self) -> Sighting:
        return self._supervisor.files

    async def reload(self) -> Report:
        try:
            prepared = await self._supervisor.prepare()
        except Exception as error:  # noqa: BLE001 - told to whoever asked for the reload
            return failure(error, self._number)
        return success(self._supervisor.swap(prepared).generation, prepared.plan)

    async def plan(self) -> Report:
        try:
            plan = await self._supervisor.plan()
        except Exception as error:  # noqa: BLE001 - told to whoever asked for the plan
            return failure(error, self._number)
        return success(plan.generation, plan)

    async def status(self) -> Report:
        own = status(self._supervisor)
        return {**own, "workers": [{key: own.get(key) for key in ("pid", "generation", "step")}]}

    @property
    def _number(self) -> int | None:
        return self._supervisor.current.generation if self._supervisor.current else None


@asynccontextmanager
async def triggered(reloader: Reloader, path: Path | None) -> AsyncGenerator["Triggers"]:
    """Listen at `path`, watch the files, and wait for SIGHUP in the main thread, until the context is left."""
    triggers = Triggers(reloader)
    async with AsyncExitStack() as stack:
        if path is not None:
            try:
                await stack.enter_async_context(listening(path, triggers.answer))
            except ControlError as error:
                logger.warning("`powerstrip reload` and `status` can't reach this server: %s", error)
        stack.enter_context(_on_hangup(triggers))
        stack.push_async_callback(triggers.close)
        triggers.begin_watching()
        yield triggers


class Triggers:
    """Turns what happens outside into reloads, as far as `server.reload` allows them."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def mode(self) -> str:
        config = self._reloader.config
        return config.server.reload if config else "off"

    def begin_watching(self) -> None:
        self._begin(watch(self._watched, self._changed), "powerstrip:watch")

    def hang_up(self) -> None:
        """SIGHUP came."""
        if self.mode == "off":
            logger.warning("SIGHUP changes nothing: server.reload is off")
            return
        self._begin(self._reloader.reload(), "powerstrip:reload")

    async def answer(self, request: Mapping[str, Any]) -> Report:
        """A request to the control socket: `{"do": "reload" | "plan" | "status"}`."""
        match request.get("do"):
            case "status":
                return await self._reloader.status()
            case "plan":
                return await self._reloader.plan()
            case "reload" if self.mode != "off":
                return await self._reloader.reload()
            case "reload":
                return {"ok": False, "error": "Refused", "reason": "server.reload is off: it takes a restart"}
        return {"ok": False, "error": "Refused", "reason": "this server does not know how to do that"}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _watched(self) -> Sighting:
        return self._reloader.files if self.mode == "watch" else MappingProxyType({})

    async def _changed(self) -> None:
        logger.info("the config has changed")
        await self._reloader.reload()

    def _begin(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextmanager
def _on_hangup(triggers: Triggers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, triggers.hang_up)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        with suppress(ValueError):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what comes now is too late, and no reason to die
