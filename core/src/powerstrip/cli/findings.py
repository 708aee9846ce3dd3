"""Findings, as the commands show them."""

from collections.abc import Iterable, Sequence

from powerstrip.contract.findings import Finding, Position
from powerstrip.host.config.layers import ENVIRONMENT_NAME, OPTION_NAME
from powerstrip.host.config.report import render_finding


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """In the order of the files; those without a position last."""
    return sorted(findings, key=_order)


def render_findings(findings: Sequence[Finding]) -> str:
    """Each with its line, caret and hint, and how many there are."""
    counts = [(level, sum(finding.level == level for finding in findings)) for level in ("error", "warning")]
    total = ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts if count)
    return "\n".join([*map(render_finding, findings), total])


def stated(position: Position | None) -> str:
    """`at config/config.yaml:7:3`, which editors and terminals make a link of, or `by --set plugins.users`."""
    if position is None:
        return "by default"
    if position.file.startswith((ENVIRONMENT_NAME, OPTION_NAME)):
        return f"by {position.file}"
    return f"at {position.file}:{position.line}:{position.column}"


def _order(finding: Finding) -> tuple[bool, str, int, int, str, str]:
    place = finding.position
    where = (place.file, place.line, place.column) if place else ("", 0, 0)
    return (place is None, *where, finding.code, finding.message)
