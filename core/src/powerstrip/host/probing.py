"""probe: the critical health checks of what has just started, before it gets requests."""

import asyncio
import logging
from collections.abc import Collection

from powerstrip.contract.errors import StartError
from powerstrip.contract.health import OwnedCheck
from powerstrip.host.containment import CONTAINED, contained
from powerstrip.host.generation import Generation
from powerstrip.host.logs import owned_by

logger = logging.getLogger(__name__)


async def probe(generation: Generation, plugins: Collection[str]) -> None:
    """Ask the critical checks of these plugins, all at once.

    Raises StartError for one that fails. With `on_failure: skip` the plugin runs, and its health tells: that is logged.
    """
    checks = [owned for owned in generation.checks if owned.check.critical and owned.plugin in plugins]
    results = await asyncio.gather(*(_ask(owned) for owned in checks))
    sections = generation.composition.config.plugins
    for owned, failure in zip(checks, results, strict=True):
        if failure is None:
            continue
        reason = f"its health check '{owned.check.name}' fails: {failure}"
        if sections[owned.plugin].on_failure != "skip":
            raise StartError(owned.plugin, "probe", reason)
        logger.warning("plugin started, and is not well: %s", reason, extra={"plugin": owned.plugin})


async def _ask(owned: OwnedCheck) -> str | None:
    with owned_by(owned.plugin):
        try:
            async with asyncio.timeout(owned.check.timeout):
                await owned.check.check()
        except TimeoutError:
            return f"no answer within {owned.check.timeout:g} s"
        except CONTAINED as error:
            failure = contained(error)
            return f"{type(failure).__name__}: {failure}"
    return None
