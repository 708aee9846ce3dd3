"""The reference of the command line."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from powerstrip.cli.main import build_command_line

INTRODUCTION = """# Commands

Exit codes: 0 fine, 1 findings or failure, 2 wrong usage. Plugins that are on add commands of their own:
`powerstrip --help` lists them."""


def page() -> str:
    root = get_command(build_command_line())
    lines = [INTRODUCTION, ""]
    for path, command in _commands("powerstrip", root):
        lines += [f"## `{path}{_arguments(command)}`", "", (command.help or "").strip(), ""]
        options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
        if options:
            lines += ["| option | meaning |", "|---|---|", *map(_row, options), ""]
    return "\n".join(lines)


# typer keeps the classes of its commands to itself, hence Any.
def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Each command that does something, groups excluded."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from _commands(f"{path} {name}", child)


def _arguments(command: Any) -> str:
    names = [
        parameter.metavar or parameter.name.upper()
        for parameter in command.params
        if parameter.param_type_name == "argument"
    ]
    return "".join(f" {name}" for name in names)


def _row(option: Any) -> str:
    value = f" {option.metavar}" if option.metavar else ""
    names = ", ".join(option.opts)
    return f"| `{names}{value}` | {option.help or ''} |"
