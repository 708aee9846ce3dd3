"""`powerstrip status`: what the running server serves, and how its last reload went."""

from collections.abc import Iterator
from typing import Any

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.output import print_json, print_table, print_text
from powerstrip.cli.running import ProcessId, ask_server


def status(
    config: ConfigFiles = None, overrides: Overrides = None, pid: ProcessId = None, as_json: AsJson = False
) -> None:
    """Show the generation that the running server serves, its plugins and workers, and how the last reload ended."""
    report = ask_server(ConfigArguments.of(config, overrides), pid, "status")
    if as_json:
        print_json(report)
        return
    for line in _lines(report):
        print_text(line)
    if report.get("plugins"):
        print_text("")
        rows = [(one["plugin"], one["state"], one["version"] or "-", one["reason"] or "") for one in report["plugins"]]
        print_table(("PLUGIN", "STATE", "VERSION", "REASON"), rows)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"process {report['pid']} is {report['step']}"
    if report["generation"] is None:
        return
    yield f"generation {report['generation']}, since {report.get('since')}"
    workers = report["workers"]
    if len(workers) > 1:
        yield "workers " + ", ".join(f"{one['pid']} (generation {one['generation']})" for one in workers)
    last = report.get("last_reload")
    if last is None:
        yield "no reload yet"
    elif last["succeeded"]:
        yield f"last reload {last['ended_at']}, took {last['duration']:g} s"
    else:
        yield f"last reload {last['ended_at']} failed, the generation before goes on: {last['reason']}"
    for what in (last or {}).get("restart_needed", ()):
        yield f"a restart is needed for {what}"
