"""Findings as text for a terminal."""

from powerstrip.contract.findings import Finding
from powerstrip.host.config.layers import ENVIRONMENT_NAME, OPTION_NAME


def render_finding(finding: Finding) -> str:
    """Where, how bad, what, the line with a caret, and what to do; plain text, several lines."""
    code = f"[{finding.code}]"
    lines = [f"{_where(finding)}{finding.level}: {finding.message} {code}"]
    lines += [f"  | {line}" for line in (finding.excerpt or "").splitlines()]
    if finding.hint:
        lines.append(f"  = {finding.hint}")
    return "\n".join(lines)


def _where(finding: Finding) -> str:
    place = finding.position
    if place is None:
        return ""
    if place.file.startswith((ENVIRONMENT_NAME, OPTION_NAME)):
        return f"{place.file}: "
    return f"{place.file}:{place.line}:{place.column}: "
