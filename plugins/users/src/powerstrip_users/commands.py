"""`powerstrip users`: what an operator does at the machine."""

import os
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from powerstrip import CommandRunner, Services
from powerstrip_users.domain import Actor, Client
from powerstrip_users.schemas import Email, FullName, Username
from powerstrip_users.seeding import Seeding
from powerstrip_users.service import Accounts, NewAccount

PASSWORD_VARIABLE = "POWERSTRIP_ADMIN_PASSWORD"  # noqa: S105 - where the password is, not the password


def users_commands(runner: CommandRunner) -> typer.Typer:
    """The group `users`."""
    commands = typer.Typer(name="users", help="Accounts.", no_args_is_help=True)

    @commands.command("create-admin")
    def create_admin(
        email: Annotated[str, typer.Option(help="E-mail address; it counts as confirmed.")],
        username: Annotated[str, typer.Option(help="3 to 50 letters, digits and underscores.")],
        full_name: Annotated[str | None, typer.Option(help="As it is shown.")] = None,
    ) -> None:
        """Make an admin. The password is asked for, or taken from $POWERSTRIP_ADMIN_PASSWORD."""
        account = _checked(email, username, full_name)

        async def work(services: Services) -> str:
            operator = Actor(name="command line", client=Client(address="local"))
            user = await services[Accounts].create_admin(account, operator)
            return str(user.id)

        typer.echo(f"{account.username} is an admin now: {runner.run(work)}")

    @commands.command("seed")
    def seed(
        count: Annotated[int, typer.Argument(min=1, max=10_000_000, help="How many accounts.")],
        password: Annotated[str, typer.Option(help="The password of all of them.")] = "correct horse battery staple",  # noqa: S107 - of made-up accounts
        yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    ) -> None:
        """Add made-up accounts, to develop and measure with. Not for a database that people use."""
        if not yes:
            typer.confirm(f"Add {count} made-up accounts to the configured database?", abort=True)

        async def work(services: Services) -> None:
            await services[Seeding].make(count, password, lambda done: typer.echo(f"{done} of {count}", err=True))

        runner.run(work)

    return commands


def _checked(email: str, username: str, full_name: str | None) -> NewAccount:
    """The account, by the rules of the API. The password is asked for last."""
    try:
        address = TypeAdapter(Email).validate_python(email)
        name = TypeAdapter(Username).validate_python(username)
        shown = TypeAdapter(FullName).validate_python(full_name)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(entry["msg"] for entry in error.errors(include_input=False))) from None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not 8 <= len(password) <= 100:
        raise typer.BadParameter("a password has 8 to 100 characters")
    return NewAccount(address, name, password, shown)
