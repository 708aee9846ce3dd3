"""The reference of hooks and of problems."""

import inspect
import re
from collections.abc import Callable, Iterator

from powerstrip import Problem
from powerstrip.contract import hooks, problems


def hooks_page() -> str:
    lines = ["# Hooks", "", inspect.cleandoc(hooks.__doc__ or ""), ""]
    for name, hook in vars(hooks.Hooks).items():
        if inspect.isfunction(hook):
            lines += [f"## `{name}{_signature(hook)}`", "", inspect.cleandoc(hook.__doc__ or ""), ""]
    return "\n".join(lines)


def problems_page() -> str:
    lines = [
        "# Problems",
        "",
        "The host's errors, as clients see them: `type` is stable, the message may change. Plugins have their own.",
        "",
        "| type | status | message |",
        "|---|---|---|",
    ]
    kinds = sorted(_kinds(Problem), key=lambda kind: (kind.status, kind.type))
    lines += [f"| `{kind.type}` | {kind.status} | {kind.message} |" for kind in kinds]
    return "\n".join([*lines, ""])


def _signature(hook: Callable[..., object]) -> str:
    """The arguments and what is returned, types by their last name: `powerstrip.contract.routes.Routes` is `Routes`."""
    signature = inspect.signature(hook)
    returned = re.sub(r"(\w+\.)+", "", inspect.formatannotation(signature.return_annotation)).strip("'")
    return f"({', '.join(signature.parameters)}) -> {returned}"


def _kinds(problem: type[Problem]) -> Iterator[type[Problem]]:
    for kind in problem.__subclasses__():
        if kind.__module__ == problems.__name__:
            yield kind
            yield from _kinds(kind)
