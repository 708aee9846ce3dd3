"""The generation that serves, and how it came to be."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from powerstrip.host.composition import compose
from powerstrip.host.config import load_config
from powerstrip.host.discovery import discover_plugins
from powerstrip.host.generation import Generation

logger = logging.getLogger(__name__)


class Supervisor:
    """Keeps one current generation; `reload()` makes the next, and the first start is a reload from nothing."""

    def __init__(
        self, paths: Sequence[Path | str], overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> None:
        self.current: Generation | None = None
        self._sources = (paths, overrides, environ)
        self._number = 0
        self._reloading = asyncio.Lock()

    async def reload(self) -> Generation:
        """load → discover → compose → build → start → swap → drain and stop the old.

        Any failure is raised and leaves the current generation as it is: ConfigError,
        CompositionError, BuildError with findings, StartError with the plugin's name.
        """
        async with self._reloading:
            # Building takes about a millisecond per route: off the event loop, which is serving.
            following = await asyncio.to_thread(self._build)
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

    def _build(self) -> Generation:
        config = load_config(*self._sources)
        composition = compose(config, discover_plugins())
        self._number += 1
        return Generation(self._number, composition)


def _names(generation: Generation) -> list[str]:
    return [member.name for member in generation.composition.members]
