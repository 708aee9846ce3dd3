"""`powerstrip config`: what the config comes to, and what it may hold."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from powerstrip.cli.arguments import AlwaysJson, AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.output import print_error, print_json, print_table
from powerstrip.contract.plugin import PluginSettings
from powerstrip.host.config.config import Config
from powerstrip.host.config.schema import config_schema
from powerstrip.host.discovery import InstalledPlugin, discover_plugins

config_commands = typer.Typer(name="config", no_args_is_help=True, help="Show what the config comes to, or its schema.")

Everything = Annotated[
    bool, typer.Option("--all", help="With the settings of every installed plugin, on or off; imports them all.")
]


@config_commands.command()
def show(config: ConfigFiles = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print every effective value and where it comes from; secrets are redacted."""
    loaded = ConfigArguments.of(config, overrides).load()
    values = loaded.values(dict(_settings_types(_enabled(loaded))))
    if as_json:
        print_json({_key(value.path): {"value": value.value, "origin": value.origin} for value in values})
        return
    print_table(("KEY", "VALUE", "ORIGIN"), [(_key(value.path), _text(value.value), value.origin) for value in values])


@config_commands.command()
def schema(
    config: ConfigFiles = None,
    overrides: Overrides = None,
    everything: Everything = False,
    as_json: AlwaysJson = True,  # noqa: ARG001 - it is JSON with and without
) -> None:
    """Print the JSON Schema of the config, for editors; it accepts what the loader accepts."""
    described = _every_installed() if everything else _enabled(ConfigArguments.of(config, overrides).load())
    print_json(config_schema(dict(_settings_types(described))))


def _every_installed() -> list[InstalledPlugin]:
    return list(discover_plugins().plugins.values())


def _enabled(config: Config) -> list[InstalledPlugin]:
    """The installed plugins that are on."""
    sections = config.plugins
    return [plugin for plugin in _every_installed() if plugin.name in sections and sections[plugin.name].enabled]


def _settings_types(plugins: Iterable[InstalledPlugin]) -> Iterator[tuple[str, type[PluginSettings]]]:
    """What can't be imported is left out: its section is then free-form, and all others are still described."""
    for plugin in plugins:
        try:
            yield plugin.name, plugin.load().settings_type
        except Exception as error:  # noqa: BLE001 - a plugin's import may raise anything
            print_error(f"warning: the settings of '{plugin.name}' are not in it: {type(error).__name__}: {error}")


def _key(path: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in path)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
