"""`powerstrip explain`: what answers a path, through which chain; why a plugin is on, off, or at its position."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.findings import render_findings
from powerstrip.cli.output import print_error, print_json, print_text
from powerstrip.cli.path_explanation import explain_path, path_lines
from powerstrip.cli.plugin_explanation import explain_plugin, plugin_lines
from powerstrip.cli.states import survey
from powerstrip.cli.steps import assembly_of, build

Explanation = dict[str, Any]

Subject = Annotated[str, typer.Argument(metavar="PATH|PLUGIN", help="A path, like /health, or a plugin's name.")]
Method = Annotated[
    str | None, typer.Option("--method", metavar="METHOD", help="Explain a path for one method, or for WEBSOCKET.")
]


def explain(
    subject: Subject,
    method: Method = None,
    config: ConfigFiles = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Say which plugin answers a path and through which chain, or why a plugin is on, off, or at its position."""
    source = ConfigArguments.of(config, overrides)
    if subject.startswith("/"):
        explanation = explain_path(assembly_of(build(source.read())), subject, method)
        _print(explanation, path_lines, as_json=as_json)
    elif method is None:
        _explain_plugin(source, subject, as_json=as_json)
    else:
        raise typer.BadParameter("is for a path, which starts with '/'", param_hint="--method")


def _explain_plugin(source: ConfigArguments, name: str, *, as_json: bool) -> None:
    found = survey(source)
    _print(explain_plugin(found, name), plugin_lines, as_json=as_json)
    if found.refusals:
        print_error(render_findings(found.refusals))
        raise typer.Exit(1)


def _print(explanation: Explanation, lines: Callable[[Explanation], Iterator[str]], *, as_json: bool) -> None:
    if as_json:
        print_json(explanation)
    else:
        print_text("\n".join(lines(explanation)))
