"""`powerstrip new`: a plugin to start from."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from powerstrip.cli.output import print_text
from powerstrip.cli.scaffold import BadNameError, plugin_name, write_plugin, written_files


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name, like weather or air-quality.")],
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="The folder to write it into.")] = Path(),
) -> None:
    """Write a plugin to start from: powerstrip-NAME/, with its package, README and tests."""
    try:
        plugin = plugin_name(name)
    except BadNameError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    root = write_plugin(plugin, output)
    for path in written_files(plugin):
        print_text(str(root / path))
    place = shlex.quote(f"{root}[test]" if root.is_absolute() else f"./{root}[test]")
    print_text(f"\nNext: pip install -e {place}\n      and switch it on in the config: plugins: {{{plugin.name}: on}}")
