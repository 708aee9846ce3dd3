"""How well things are: values and rules, no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from powerstrip import HostStep, ReloadOutcome

Status = Literal["healthy", "degraded", "unhealthy"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of a health check said.

    `error` is the type of the exception that made it fail; `message` may hold addresses or secrets,
    and is for logs and debugging only.
    """

    plugin: str
    name: str
    critical: bool
    checked_at: datetime
    duration_ms: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    message: str | None = None

    @property
    def status(self) -> Status:
        return "healthy" if self.error is None else "unhealthy"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests should be sent here; `reasons` say why not."""

    step: HostStep
    generation: int
    reasons: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        return "unhealthy" if self.reasons else "healthy"


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known: the results of all checks, and the plugins that could not start, with the reason."""

    readiness: Readiness
    version: str
    started_at: datetime
    results: tuple[CheckResult, ...]
    unavailable: Mapping[str, str]
    last_reload: ReloadOutcome | None = None

    @property
    def status(self) -> Status:
        """A failing critical check makes all unhealthy; any other, or a plugin that is missing, only degrades."""
        failed = [result for result in self.results if result.error is not None]
        if any(result.critical for result in failed):
            return "unhealthy"
        return "degraded" if failed or self.unavailable else "healthy"

    @property
    def named_results(self) -> dict[str, CheckResult]:
        """The results by check name; `plugin.check` where several plugins use one name."""
        taken = [result.name for result in self.results]
        return {
            result.name if taken.count(result.name) == 1 else f"{result.plugin}.{result.name}": result
            for result in self.results
        }


def reasons_of(results: Iterable[CheckResult]) -> tuple[str, ...]:
    """Why failing critical checks stand in the way, in words."""
    return tuple(f"critical check '{result.name}' fails" for result in results if result.critical and result.error)
