"""`powerstrip ratelimit`: what an operator does at the machine."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import typer

from powerstrip import CommandRunner, Services
from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_ratelimit.schemas import StandingsResponse, described
from powerstrip_ratelimit.standings import Standing, Standings

ResultT = TypeVar("ResultT")

Key = Annotated[
    str,
    typer.Argument(help="An address, identity:ID, api-key:VALUE, header:NAME:VALUE, or a plugin's KEY:VALUE."),
]
_ELSEWHERE = (
    "the counters are in the memory of each server process: ask the API at /api/v1/ratelimits as an admin, or switch "
    "the plugin redis on"
)


def ratelimit_commands(runner: CommandRunner) -> typer.Typer:
    """The group `ratelimit`."""
    commands = typer.Typer(name="ratelimit", help="Rate limits.", no_args_is_help=True)

    @commands.command("show")
    def show(key: Key, *, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
        """Show what a client has left."""

        async def work(services: Services) -> Sequence[Standing]:
            standings = _shared(services)
            found = await standings.of_subject(key)
            if not standings.are_known:
                raise StoreUnavailableError("Redis is away: nobody knows what was counted")
            return found

        standings = _answered(runner, work)
        if as_json:
            typer.echo(StandingsResponse.of(standings).model_dump_json(indent=2))
            return
        for standing in standings:
            typer.echo(_line(standing))

    @commands.command("reset")
    def reset(key: Key) -> None:
        """Forget what a client used, so that it begins anew."""

        async def work(services: Services) -> int:
            return await _shared(services).reset(key)

        count = _answered(runner, work)
        typer.echo(f"{key}: forgotten under {count} {'policy' if count == 1 else 'policies'}")

    return commands


def _shared(services: Services) -> Standings:
    standings = services[Standings]
    if standings.are_of_one_process:
        raise StoreUnavailableError(_ELSEWHERE)
    return standings


def _answered(runner: CommandRunner, work: Callable[[Services], Awaitable[ResultT]]) -> ResultT:
    try:
        return runner.run(work)
    except StoreUnavailableError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _line(standing: Standing) -> str:
    told = described(standing)
    most = told.limit if told.burst is None else told.burst
    rate = f"{told.limit} at a time" if told.window is None else f"{told.limit} in {told.window} s"
    left = f"{told.remaining} of {most} left" if standing.is_used else "unused"
    wait = f", next in {told.retry_after:.1f} s" if told.retry_after else ""
    return f"{told.name}  {rate}  {left}{wait}"
