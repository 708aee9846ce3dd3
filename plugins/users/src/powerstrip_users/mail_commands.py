"""`powerstrip mail`: the mails that wait, were sent, or were given up."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from powerstrip import CommandRunner
from powerstrip_users.models import Mail, MailStatus
from powerstrip_users.outbox import Outbox

_COLUMNS = ("id", "status", "template", "recipient", "attempts", "created_at", "due_at", "last_error")


def mail_commands(runner: CommandRunner) -> typer.Typer:
    """The group `mail`."""
    commands = typer.Typer(name="mail", help="Mails that the API sends.", no_args_is_help=True)

    @commands.command("list")
    def list_mails(
        status: Annotated[MailStatus | None, typer.Option(help="Only these.")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
        as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ) -> None:
        """List mails, the newest first. What is in them is not shown."""
        mails = runner.run(lambda services: services[Outbox].find(status, limit))
        if as_json:
            typer.echo(json.dumps([_facts(mail) for mail in mails], indent=2))
        elif mails:
            typer.echo("\n".join(_aligned([_COLUMNS, *map(_cells, mails)])))
        else:
            typer.echo("There are none.", err=True)

    @commands.command("retry")
    def retry(
        mail: Annotated[UUID | None, typer.Argument(metavar="ID", help="The mail to send now.")] = None,
        every: Annotated[bool, typer.Option("--all", help="All that were abandoned.")] = False,
    ) -> None:
        """Let mails be sent that were given up or wait for their next attempt. The running server sends them."""
        if (mail is None) is not every:
            raise typer.BadParameter("state the id of a mail, or --all")
        count = runner.run(lambda services: services[Outbox].retry(mail))
        if count == 0 and mail is not None:
            typer.echo(f"error: no mail {mail} waits: it does not exist, was sent, or is being sent", err=True)
            raise typer.Exit(1)
        typer.echo(f"{count} queued")

    return commands


def _facts(mail: Mail) -> dict[str, Any]:
    return {name: _plain(getattr(mail, name)) for name in _COLUMNS}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value


def _cells(mail: Mail) -> Sequence[str]:
    # Addresses and what servers say come from outside: neither may move the terminal's cursor.
    shown = ("" if value is None else str(value) for value in _facts(mail).values())
    return ["".join(filter(str.isprintable, cell)) for cell in shown]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
