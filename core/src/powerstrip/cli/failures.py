"""What an operator sees when a command fails: what is wrong, where, what to do. Never a traceback unasked."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from powerstrip.cli.findings import render_findings
from powerstrip.cli.output import print_error
from powerstrip.contract.errors import FindingsError, PowerstripError
from powerstrip.contract.problems import Problem

# How typer ends a command, and what it turns into an exit code itself.
_TYPERS_OWN = (typer.Exit, typer.Abort, typer.TyperException, EOFError, BrokenPipeError)


@contextmanager
def reported_failures(*, debug: bool) -> Iterator[None]:
    """Turn every exception into words for an operator and exit code 1; with `debug` the traceback comes first."""
    try:
        yield
    except _TYPERS_OWN:
        raise
    except Exception as error:  # noqa: BLE001 - the last place that can turn an exception into words
        if debug:
            print_error(traceback.format_exc())
        _explain(error, debug=debug)
        raise typer.Exit(1) from None


def _explain(error: Exception, *, debug: bool) -> None:
    if isinstance(error, FindingsError):
        print_error(render_findings(error.findings))
    elif isinstance(error, PowerstripError | Problem):
        print_error(f"error: {error}")
    else:
        # The first line only: what follows may quote values, and values may be secrets.
        first = str(error).partition("\n")[0]
        hint = "" if debug else " (powerstrip --debug shows where)"
        print_error(f"error: {type(error).__name__}: {first}{hint}")
