"""The entry point: which commands there are. What each does is in the module of its name."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import powerstrip
from powerstrip.cli.arguments import ConfigArguments, split_config_arguments
from powerstrip.cli.check import check
from powerstrip.cli.config import config_commands
from powerstrip.cli.explain import explain
from powerstrip.cli.failures import reported_failures
from powerstrip.cli.new import new
from powerstrip.cli.openapi import openapi
from powerstrip.cli.output import help_style, print_error, print_text
from powerstrip.cli.plugin_commands import plugin_commands
from powerstrip.cli.plugins import plugins
from powerstrip.cli.reload import reload
from powerstrip.cli.routes import routes
from powerstrip.cli.serve import serve
from powerstrip.cli.status import status
from powerstrip.contract.errors import FindingsError


def main() -> None:
    """Run the command line and exit: 0 fine, 1 findings or failure, 2 usage."""
    build_command_line()()


def build_command_line() -> typer.Typer:
    """The core's commands; those of plugins are found when one is typed."""
    command_line = typer.Typer(
        name="powerstrip",
        cls=_CommandLine,
        no_args_is_help=True,
        rich_markup_mode=help_style(),
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    command_line.callback()(_root)
    for command in (serve, reload, status, check, plugins, routes, explain, openapi, new):
        command_line.command()(command)
    command_line.add_typer(config_commands)
    return command_line


def _print_version(wanted: bool) -> None:
    if wanted:
        print_text(f"powerstrip {powerstrip.__version__}")
        raise typer.Exit


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Compose one HTTP API out of plugins.

    Exit codes: 0 fine, 1 findings or failure, 2 wrong usage.
    """


class _CommandLine(TyperGroup):
    """The core's own commands first, so that they work whatever the config; then those of the plugins that are on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._own = dict(self.commands)

    def invoke(self, ctx: Any) -> Any:
        with reported_failures(debug=ctx.params["debug"]):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, *line = args
        # Completion parses what is half typed: importing plugins at each stroke of a key would be too slow.
        if name not in self._own and not ctx.resilient_parsing:
            source, line = split_config_arguments(line)
            self._look_for(name, source)
        return super().resolve_command(ctx, [name, *line])

    def list_commands(self, ctx: Any) -> list[str]:
        """For `--help`: those of plugins are in it where the config allows it."""
        if not ctx.resilient_parsing:
            try:
                self._add_plugin_commands(ConfigArguments.of(None, None))
            except FindingsError:
                print_error("The commands of plugins are missing here: `powerstrip check` says what is wrong.\n")
        return super().list_commands(ctx)

    def _look_for(self, name: str, source: ConfigArguments) -> None:
        if source.is_absent:
            print_error(f"There is no {source} here, so only the core's commands are known.")
        try:
            self._add_plugin_commands(source)
        except FindingsError:
            print_error(f"'{name}' is no command of the core, and those of plugins are not known:")
            raise

    def _add_plugin_commands(self, source: ConfigArguments) -> None:
        if not source.is_absent:
            self.commands = {**self._own, **plugin_commands(source, taken=self._own)}
