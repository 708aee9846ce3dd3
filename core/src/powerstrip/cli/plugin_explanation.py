"""Why a plugin is on or off, why it stands where it does, and what it brings."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from powerstrip.cli.layers import describe_layer, layer_line
from powerstrip.cli.routes import describe_route, route_line
from powerstrip.cli.states import Survey
from powerstrip.contract.errors import PowerstripError
from powerstrip.host.application import Assembly


def explain_plugin(survey: Survey, name: str) -> dict[str, Any]:
    """The plugin's state, its position and what it brings; these two are None unless it is on.

    Raises PowerstripError when no plugin of that name is installed or listed.
    """
    state = next((state for state in survey.states() if state.name == name), None)
    if state is None:
        close = difflib.get_close_matches(name, [state.name for state in survey.states()], n=1)
        hint = f"did you mean '{close[0]}'?" if close else "`powerstrip plugins` lists those there are"
        raise PowerstripError(f"no plugin '{name}' is installed or listed: {hint}")
    explanation = state.to_dict()
    if survey.assembly is not None and state.state == "on":
        explanation |= _position(survey.assembly, name) | _contributions(survey.assembly, name)
    return explanation


def plugin_lines(explanation: dict[str, Any]) -> Iterator[str]:
    """The explanation for people."""
    yield f"{explanation['name']} is {explanation['state']}: {explanation['reason']}"
    if explanation["distribution"]:
        yield f"  from {explanation['distribution']} {explanation['version']}"
    if "position" not in explanation:
        return
    yield f"  starts {explanation['position']} of {explanation['of']}"
    yield from (
        f"    after {other['plugin']}: {explanation['name']} {other['because']}" for other in explanation["after"]
    )
    yield from (f"    before {other['plugin']}, which {other['because']}" for other in explanation["before"])
    yield from _listed("routes", map(route_line, explanation["routes"]))
    yield from _listed("interceptors and middleware", map(layer_line, explanation["layers"]))
    for kind in ("checks", "tasks", "exports"):
        yield from _listed(kind, explanation[kind])


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if not number:
            yield f"  {title}"
        yield f"    {line}"


def _position(assembly: Assembly, name: str) -> dict[str, Any]:
    """Where it stands in the order of the start, and which requirements and wishes put it there."""
    members = assembly.composition.members
    position = next(number for number, member in enumerate(members, start=1) if member.name == name)
    return {
        "position": position,
        "of": len(members),
        "after": [{"plugin": other, "because": why} for other, why in members[position - 1].after.items()],
        "before": [{"plugin": other.name, "because": other.after[name]} for other in members if name in other.after],
    }


def _contributions(assembly: Assembly, name: str) -> dict[str, Any]:
    brought = assembly.registrations
    return {
        "routes": [describe_route(entry) for entry in assembly.index.routes if entry.plugin == name],
        "layers": [describe_layer(entry) for entry in assembly.layers if entry.plugin == name],
        "checks": [entry.value.name for entry in brought.health_checks if entry.plugin == name],
        "tasks": [entry.value.name for entry in brought.tasks if entry.plugin == name],
        "exports": [entry.value.name for entry in brought.exports if entry.plugin == name],
    }
