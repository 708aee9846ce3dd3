"""`powerstrip reload`: tells the running server to serve the config as it is now."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.findings import render_findings
from powerstrip.cli.output import print_error, print_json, print_text
from powerstrip.cli.running import ProcessId, ask_server
from powerstrip.contract.findings import Finding, Position

_LABELS = (
    ("routes_gained", "gains"),
    ("routes_lost", "loses"),
    ("routes_changed", "changes"),
    ("api_changed", "changes"),
)


def reload(
    config: ConfigFiles = None,
    overrides: Overrides = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would happen, and do nothing.")] = False,
    pid: ProcessId = None,
    as_json: AsJson = False,
) -> None:
    """Make the running server serve the config as it is now, wait for it, and tell what has become of each plugin.

    Exit code 1 when it goes on as before.
    """
    report = ask_server(ConfigArguments.of(config, overrides), pid, "plan" if plan else "reload")
    if as_json:
        print_json(report)
    elif report["ok"]:
        for line in _lines(report, is_plan=plan):
            print_text(line)
    else:
        _explain(report, is_plan=plan)
    if not report["ok"]:
        raise typer.Exit(1)


def _lines(report: dict[str, Any], *, is_plan: bool) -> Iterator[str]:
    plan = report["plan"]
    verb = "would serve" if is_plan else "serves"
    yield f"generation {report['generation']} {verb}"
    width = max((len(entry["plugin"]) for entry in plan["plugins"]), default=0)
    for entry in plan["plugins"]:
        yield f"  {entry['plugin']:<{width}}  {entry['change']:<12}  {entry['reason']}"
    for key, label in _LABELS:
        yield from (f"  {label} {route}" for route in plan[key] or ())
    yield from (f"  a restart is needed for {what}" for what in plan["restart_needed"])


def _explain(report: dict[str, Any], *, is_plan: bool) -> None:
    findings = [_finding(entry) for entry in report.get("findings", ())]
    print_error(render_findings(findings) if findings else f"error: {report['reason']}")
    if not is_plan and report.get("generation"):
        print_error(f"the reload failed, generation {report['generation']} goes on")


def _finding(entry: dict[str, Any]) -> Finding:
    position = Position(entry["file"], entry["line"], entry["column"]) if entry["file"] else None
    return Finding(
        entry["code"], entry["message"], entry["hint"], entry["level"], position, entry["plugin"], entry["excerpt"]
    )
