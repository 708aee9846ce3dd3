"""Which running server a command talks to."""

from typing import Annotated, Any

import typer

from powerstrip.cli.arguments import ConfigArguments
from powerstrip.contract.errors import PowerstripError
from powerstrip.host.control import ask, find_servers

ProcessId = Annotated[
    int | None,
    typer.Option("--pid", help="Process of the server, where several serve the same config.", show_default=False),
]


def ask_server(source: ConfigArguments, pid: int | None, do: str) -> dict[str, Any]:
    """The answer of the server of a config. Raises PowerstripError when there is none, or more than one."""
    stated = source.read().server.control
    found = find_servers(source.files, stated)
    if pid is not None and not stated:
        found = [path for path in found if path.suffixes[-2:-1] == [f".{pid}"]]
    if not found:
        raise PowerstripError(f"no server of {source} runs here as this user")
    if len(found) > 1:
        pids = ", ".join(path.suffixes[-2].removeprefix(".") for path in found)
        raise PowerstripError(f"several servers of {source} run here: choose one with --pid ({pids})")
    return ask(found[0], {"do": do})
