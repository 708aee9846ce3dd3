"""start and stop: plugins' lifespans in order, each in a task of its own, and their supervised tasks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from powerstrip.contract.errors import StartError, StopError
from powerstrip.contract.services import Services
from powerstrip.contract.tasks import BackgroundTask
from powerstrip.host.containment import CONTAINED, contained
from powerstrip.host.logs import current_owner
from powerstrip.host.services import ServiceRegistry
from powerstrip.host.views import PluginView

logger = logging.getLogger(__name__)

_FIRST_RESTART_DELAY = 1.0
_LAST_RESTART_DELAY = 60.0

Lifespan = Callable[[Services], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that one plugin may take to start and to stop."""

    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Startable:
    """One plugin as the lifecycle sees it: its lifespan, if it has one, and its background tasks."""

    plugin: str
    lifespan: Lifespan | None
    tasks: Sequence[BackgroundTask] = ()


class Lifecycle:
    """The running plugins of one generation, dependencies first.

    Those that it has started it stops, exactly once and in reverse, whatever happens. Those of another generation are
    its guests until `take_over`, and of the others those that a later generation keeps are let go by `hand_over`.
    """

    def __init__(self, services: ServiceRegistry, limits: Limits) -> None:
        self._services = services
        self._limits = limits
        self._running: dict[str, RunningPlugin] = {}
        self._guests: set[str] = set()

    @property
    def running(self) -> Mapping[str, "RunningPlugin"]:
        return MappingProxyType(self._running)

    async def start(self, startable: Startable, view: PluginView) -> None:
        """Start one plugin. Raises StartError when it fails or takes too long; it is cleaned up by then."""
        running = RunningPlugin(startable, view, self._limits)
        await running.start()
        self._enlist(running)
        running.begin_tasks()
        logger.debug("plugin started", extra={"plugin": startable.plugin})

    def invite(self, running: "RunningPlugin") -> None:
        """Let a plugin of the generation that serves be one of this generation as well."""
        self._guests.add(running.name)
        self._enlist(running)

    def take_over(self) -> None:
        """The guests are this generation's own from now on, with its limits."""
        for name in self._guests:
            self._running[name].limits = self._limits
        self._guests.clear()

    def hand_over(self, kept: Collection["RunningPlugin"]) -> None:
        """Let those go that are another generation's own from now on. Their services can still be found here."""
        staying = {id(running) for running in kept}
        self._running = {name: running for name, running in self._running.items() if id(running) not in staying}

    async def stop(self) -> list[StopError]:
        """Stop what has started, in reverse; returns what went wrong, which is also logged."""
        errors: list[StopError] = []
        while self._running:
            name, running = self._running.popitem()
            if name in self._guests:
                continue
            await running.end_tasks()
            self._services.withdraw(name)
            error = await running.stop()
            if error is not None:
                logger.error("plugin failed to stop", exc_info=error, extra={"plugin": error.plugin})
                errors.append(error)
        return errors

    def _enlist(self, running: "RunningPlugin") -> None:
        self._running[running.name] = running
        self._services.provide(running.name, running.provided)


class RunningPlugin:
    """One plugin that runs: its lifespan, entered and left in one task, and its background tasks."""

    def __init__(self, startable: Startable, view: PluginView, limits: Limits) -> None:
        self.name = startable.plugin
        self.view = view
        self.limits = limits
        self.provided: Any = None
        self._lifespan = startable.lifespan or _no_lifespan
        self._background = startable.tasks
        self._stopping = asyncio.Event()
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._supervised: list[asyncio.Task[None]] = []
        self._hanging: list[asyncio.Task[None]] = []
        self._task = asyncio.create_task(self._run(), name=f"powerstrip:{self.name}")

    @property
    def is_up(self) -> bool:
        """False when its lifespan has ended by itself."""
        return not self._task.done()

    async def start(self) -> None:
        try:
            done, _ = await asyncio.wait([self._ready], timeout=self.limits.start)
        except asyncio.CancelledError:
            await self._abandon()
            raise
        if not done:
            await self._abandon()
            raise StartError(self.name, "start", f"took longer than {self.limits.start:g} s")
        error = self._ready.exception()
        if error is not None:
            raise StartError(self.name, "start", f"{type(error).__name__}: {error}") from error
        self.provided = self._ready.result()
        self.view.settle()
        self._task.add_done_callback(self._notice_early_end)

    def begin_tasks(self) -> None:
        for task in self._background:
            name = f"powerstrip:{self.name}:{task.name}"
            self._supervised.append(asyncio.create_task(_supervise(self.name, task, self.view), name=name))

    async def end_tasks(self) -> None:
        for task in self._supervised:
            task.cancel()
        self._hanging += await self._finish(self._supervised)

    async def stop(self) -> StopError | None:
        self._stopping.set()
        self._hanging += await self._finish([self._task])
        if self._hanging:
            names = ", ".join(sorted(task.get_name() for task in self._hanging))
            return StopError(self.name, "stop", f"took longer than {self.limits.stop:g} s: {names}")
        error = None if self._task.cancelled() else self._task.exception()
        if error is None:
            return None
        stop_error = StopError(self.name, "stop", f"{type(error).__name__}: {error}")
        stop_error.__cause__ = error
        return stop_error

    async def _run(self) -> None:
        current_owner.set(self.name)
        try:
            async with self._lifespan(self.view) as provided:
                if not self._ready.done():
                    self._ready.set_result(provided)
                await self._stopping.wait()
        except BaseException as error:  # noqa: BLE001 - told to whoever starts the plugin
            if self._ready.done():
                raise contained(error)  # noqa: B904 - it is the same error, or has it as its cause
            self._ready.set_exception(_startup_failure(error))

    async def _abandon(self) -> None:
        self._task.cancel()
        if await self._finish([self._task]):
            logger.error("plugin ignores its cancellation and is left behind", extra={"plugin": self.name})
        if self._ready.done():
            self._ready.exception()  # seen: the caller raises its own error

    async def _finish(self, tasks: Sequence[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
        """Wait for tasks for as long as a stop may take; those still running are cancelled and returned."""
        if not tasks:
            return []
        _, hanging = await asyncio.wait(tasks, timeout=self.limits.stop)
        for task in hanging:
            task.cancel()
        return list(hanging)

    def _notice_early_end(self, task: "asyncio.Task[None]") -> None:
        if not self._stopping.is_set():
            error = None if task.cancelled() else task.exception()
            logger.error("plugin ended while it was serving", exc_info=error, extra={"plugin": self.name})


def _startup_failure(error: BaseException) -> BaseException:
    # A future can't hold StopIteration, and a cancellation from inside the plugin is the plugin's failure.
    if isinstance(error, asyncio.CancelledError | StopIteration):
        return RuntimeError(f"its lifespan ended with {type(error).__name__}")
    return error


@asynccontextmanager
async def _no_lifespan(_services: Services) -> AsyncIterator[None]:
    yield None


async def _supervise(plugin: str, task: BackgroundTask, services: Services) -> None:
    current_owner.set(plugin)
    loop = asyncio.get_running_loop()
    delay = _FIRST_RESTART_DELAY
    while True:
        started = loop.time()
        try:
            await task.run(services)
        except CONTAINED as error:
            contained(error)  # raises the cancellation that a stop is
            if loop.time() - started > _LAST_RESTART_DELAY:
                delay = _FIRST_RESTART_DELAY
            where = {"plugin": plugin, "task": task.name, "restart_in": delay}
            logger.exception("background task crashed", extra=where)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RESTART_DELAY)
        else:
            return
