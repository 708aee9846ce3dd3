"""reload: what a running plugin does itself to be kept. Its code is called, so anything may come of it."""

import asyncio
import logging
from collections.abc import Callable

from powerstrip.contract.errors import StartError
from powerstrip.contract.plugin import AnyPlugin, Plugin, PluginSettings
from powerstrip.contract.services import Services
from powerstrip.host.composition import Member
from powerstrip.host.containment import CONTAINED, contained
from powerstrip.host.logs import owned_by

logger = logging.getLogger(__name__)

Switch = Callable[[], None]


def can_adapt(plugin: AnyPlugin) -> bool:
    return type(plugin).adapt is not Plugin.adapt


def reconfigured(plugin: AnyPlugin, settings: PluginSettings) -> Switch | None:
    """What switches a running plugin over to other settings, or None when it can't do that."""
    with owned_by(plugin.name):
        try:
            switch = plugin.reconfigure(settings)
        except CONTAINED as error:
            contained(error)
            logger.exception("plugin failed to be reconfigured and is restarted", extra={"plugin": plugin.name})
            return None
    if switch is None:
        return None

    def switch_settings() -> None:
        plugin.settings = settings
        switch()

    return switch_settings


async def adapted(member: Member, services: Services, seconds: float) -> Switch:
    """What switches a running plugin over to what others contribute now. Raises StartError."""
    with owned_by(member.name):
        try:
            async with asyncio.timeout(seconds):
                return await member.plugin.adapt(services)
        except TimeoutError as error:
            raise StartError(member.name, "adapt", f"took longer than {seconds:g} s, or: {error}") from error
        except CONTAINED as error:
            failure = contained(error)
            raise StartError(member.name, "adapt", f"{type(failure).__name__}: {failure}") from failure


def switch_over(plugin: str, switch: Switch) -> None:
    """Call what a plugin gave for the swap. The swap has happened: a failure is logged."""
    with owned_by(plugin):
        try:
            switch()
        except CONTAINED as error:
            contained(error)
            logger.exception("plugin failed to switch over", extra={"plugin": plugin})
