"""The generation that serves, and how it came to be."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

from powerstrip.contract.errors import StartError
from powerstrip.host.composition import compose
from powerstrip.host.config.config import read_config
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.discovery import discover_plugins
from powerstrip.host.generation import Generation
from powerstrip.host.logs import current_owner

logger = logging.getLogger(__name__)

_LOOK_INTERVAL = 0.1  # seconds between two looks at who keeps a build waiting


class Supervisor:
    """Keeps one current generation; `reload()` makes the next, and the first start is a reload from nothing."""

    def __init__(
        self, paths: Sequence[Path | str], overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> None:
        self.current: Generation | None = None
        self._sources = (paths, overrides, environ)
        self._number = 0
        self._start_timeout = ServerSettings().start_timeout  # until a config says another
        self._reloading = asyncio.Lock()

    async def reload(self) -> Generation:
        """load → discover → compose → build → start → swap → drain and stop the old.

        Any failure is raised and leaves the current generation as it is: ConfigError,
        CompositionError, BuildError with findings, StartError with the plugin's name.
        """
        async with self._reloading:
            following = await self._build_aside()
            await following.start()
            retired, self.current = self.current, following
            logger.info("serving", extra={"generation": following.generation, "plugins": _names(following)})
            if retired is not None:
                await retired.drain()
                await retired.stop()
            return following

    async def close(self) -> None:
        """Stop serving: the current generation is drained and stopped."""
        retired, self.current = self.current, None
        if retired is not None:
            await retired.drain()
            await retired.stop()

    async def _build_aside(self) -> Generation:
        """Build off the event loop, which is serving, and give no plugin more than `server.start_timeout` for it."""
        building = _Building(self._build)
        owner, since = None, monotonic()
        while not building.done():
            await asyncio.wait([building.outcome], timeout=_LOOK_INTERVAL)
            at_work = building.context.get(current_owner)
            if at_work != owner:
                owner, since = at_work, monotonic()
            elif owner is not None and monotonic() - since > self._start_timeout:
                reason = f"took longer than {self._start_timeout:g} s to be imported and to say what it brings"
                raise StartError(owner, "build", reason)
        return building.outcome.result()

    def _build(self) -> Generation:
        config = read_config(*self._sources)
        self._start_timeout = config.server.start_timeout
        composition = compose(config, discover_plugins())
        self._number += 1
        return Generation(self._number, composition)


class _Building:
    """A build in a thread of its own: a daemon, so that a hanging plugin can't keep the process from ending."""

    def __init__(self, build: Callable[[], Generation]) -> None:
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Generation] = self._loop.create_future()
        self.context = copy_context()
        Thread(target=self.context.run, args=(self._run, build), name="powerstrip:build", daemon=True).start()

    def done(self) -> bool:
        return self.outcome.done()

    def _run(self, build: Callable[[], Generation]) -> None:
        try:
            generation = build()
        except BaseException as error:  # noqa: BLE001 - handed over to the task that waits for the outcome
            self._tell(self.outcome.set_exception, error)
        else:
            self._tell(self.outcome.set_result, generation)

    def _tell(self, settle: Callable[[Any], None], value: Any) -> None:
        def settle_unless_cancelled() -> None:
            if not self.outcome.done():
                settle(value)

        with suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(settle_unless_cancelled)


def _names(generation: Generation) -> list[str]:
    return [member.name for member in generation.composition.members]
