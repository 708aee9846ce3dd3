"""`powerstrip plugins`: what is installed, and why each is on, off or skipped."""

import typer

from powerstrip.cli.arguments import AsJson, ConfigArguments, ConfigFiles, Overrides
from powerstrip.cli.findings import render_findings
from powerstrip.cli.output import print_error, print_json, print_table
from powerstrip.cli.states import survey


def plugins(config: ConfigFiles = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """List every installed plugin, and those only listed, with why each is on, off or skipped."""
    found = survey(ConfigArguments.of(config, overrides))
    states = found.states()
    if as_json:
        print_json([state.to_dict() for state in states])
    else:
        rows = [(state.name, state.state, state.version or "-", state.reason) for state in states]
        print_table(("NAME", "STATE", "VERSION", "REASON"), rows)
    if found.refusals:
        print_error(render_findings(found.refusals))
        raise typer.Exit(1)
