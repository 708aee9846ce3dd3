"""The commands of the plugins that are on, and what they may ask of the host."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar, cast

import pluggy
import typer
from typer.main import get_group

from powerstrip.cli.arguments import ConfigArguments
from powerstrip.cli.output import help_style
from powerstrip.contract.commands import CommandRunner
from powerstrip.contract.errors import BuildError
from powerstrip.contract.findings import Finding
from powerstrip.contract.hooks import PROJECT
from powerstrip.contract.services import Services
from powerstrip.host.composition import Composition, Member, compose
from powerstrip.host.discovery import discover_plugins
from powerstrip.host.generation import Generation
from powerstrip.host.logs import configure_logging
from powerstrip.host.registrations import implementation

ResultT = TypeVar("ResultT")

# typer keeps the classes of its commands to itself.
Command = Any

_NOTE = "Like every command, it takes --config FILE and --set KEY=VALUE."


def plugin_commands(source: ConfigArguments, taken: Collection[str]) -> Mapping[str, Command]:
    """The commands that the enabled plugins add, by name.

    Raises ConfigError, CompositionError, or BuildError when a plugin can't say which commands it has, or one of
    them has a name that is `taken` or another plugin's.
    """
    composition = compose(source.load(), discover_plugins())
    owners = dict.fromkeys(taken, "powerstrip")
    commands: dict[str, Command] = {}
    findings: list[Finding] = []
    for member in composition.members:
        try:
            own = _commands_of(member, composition)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's hook raises becomes its finding
            message = f"failed in register_commands: {type(error).__name__}: {error}"
            findings.append(_finding(composition, member, "plugin.hook-failed", message))
            continue
        for name in sorted(set(own) & set(owners)):
            message = f"adds a command '{name}', which is one of '{owners[name]}'"
            findings.append(_finding(composition, member, "plugin.command-clash", message))
        owners |= dict.fromkeys(own, member.name)
        commands |= own
    if findings:
        raise BuildError(findings)
    return commands


class PluginRunner(CommandRunner):
    """Runs a command's work with one plugin up, and with those that it starts after.

    All others that are on are built and not started, so that they answer the hooks that the running ones opened.
    """

    def __init__(self, composition: Composition, plugin: str) -> None:
        self._composition = composition
        self._plugin = plugin

    def run(self, work: Callable[[Services], Awaitable[ResultT]], *, beside: Collection[str] = ()) -> ResultT:
        """As the contract says. Raises BuildError, StartError, and whatever `work` raises."""
        settings = self._composition.config.logging
        if settings.level in ("debug", "info"):  # the news of a start are for servers
            settings = settings.model_copy(update={"level": "warning"})
        configure_logging(settings)
        return asyncio.run(self._run(work, _needed_by((self._plugin, *beside), self._composition)))

    async def _run(self, work: Callable[[Services], Awaitable[ResultT]], needed: Collection[str]) -> ResultT:
        generation = Generation(1, self._composition)
        generation.assembly.registrations.tasks.clear()  # they are the server's: a command is soon over
        await generation.start(needed)
        try:
            # They are there from the start on.
            return await work(cast("Services", generation.assembly.index.services))
        finally:
            await generation.stop()


def _commands_of(member: Member, composition: Composition) -> dict[str, Command]:
    register = implementation(pluggy.PluginManager(PROJECT), member.plugin, "register_commands")
    if register is None:
        return {}
    group = typer.Typer(rich_markup_mode=help_style())
    for added in register(runner=PluginRunner(composition, member.name)) or ():
        group.add_typer(added)
    commands: dict[str, Command] = dict(get_group(group).commands)
    for command in commands.values():
        command.rich_help_panel = f"Commands of the plugin '{member.name}'"
        command.epilog = command.epilog or _NOTE
    return commands


def _needed_by(plugins: Collection[str], composition: Composition) -> Collection[str]:
    after = {member.name: member.after for member in composition.members}
    needed: set[str] = set()
    waiting = [name for name in plugins if name in after]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(after[name])
    return needed


def _finding(composition: Composition, member: Member, code: str, text: str) -> Finding:
    message = f"plugin '{member.name}' {text}"
    return composition.config.finding(("plugins", member.name), code, message, plugin=member.name)
