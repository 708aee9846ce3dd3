"""The options that every command takes, and the config they lead to."""

import os
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from powerstrip.host.config.config import Config, load_config, read_config

_DEFAULT_FILE = Path("config/config.yaml")
_VARIABLE = "POWERSTRIP_CONFIG"

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Config file; repeat it to layer several, the later wins. Default: ${_VARIABLE}, else {_DEFAULT_FILE}.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one value of the config, like plugins.users.enabled=false; repeatable.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AlwaysJson = Annotated[bool, typer.Option("--json", help="Print JSON, as it does anyway.")]


@dataclass(frozen=True, slots=True)
class ConfigArguments:
    """Where a command's config comes from."""

    files: tuple[Path, ...]
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, files: Sequence[Path] | None, overrides: Sequence[str] | None) -> "ConfigArguments":
        """What was typed, else the files of `$POWERSTRIP_CONFIG`, else the default file."""
        named = [Path(name) for name in os.environ.get(_VARIABLE, "").split(os.pathsep) if name]
        return cls(tuple(files or named or [_DEFAULT_FILE]), tuple(overrides or ()))

    def __str__(self) -> str:
        return ", ".join(str(path) for path in self.files)

    @property
    def is_absent(self) -> bool:
        """True when nobody named a file and the default one is not there."""
        return self.files == (_DEFAULT_FILE,) and not _DEFAULT_FILE.exists()

    def load(self) -> Config:
        """The config. Raises ConfigError."""
        return load_config(self.files, self.overrides)

    def read(self) -> Config:
        """The config with its errors among its findings, for the steps that add theirs."""
        return read_config(self.files, self.overrides)


def split_config_arguments(line: Sequence[str]) -> tuple[ConfigArguments, list[str]]:
    """Take the config's options out of a command line whose commands are not known before the config is."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", action="append", type=Path)
    parser.add_argument("--set", action="append", dest="overrides")
    try:
        known, rest = parser.parse_known_args(line)
    except ArgumentError as error:
        raise typer.BadParameter(str(error)) from None
    return ConfigArguments.of(known.config, known.overrides), rest
