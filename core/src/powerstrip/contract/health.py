"""Health checks, and what the host knows about itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

HostStep = Literal["starting", "serving", "draining", "stopped"]


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A question about one dependency.

    `check` returns facts to show (JSON values, no secrets) or raises; it is cancelled after
    `timeout` seconds. A failing critical check turns readiness red, any other only degrades.
    """

    name: str
    check: Callable[[], Awaitable[Mapping[str, Any] | None]]
    critical: bool = True
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class OwnedCheck:
    """A health check and the plugin it belongs to."""

    plugin: str
    check: HealthCheck


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """How a reload ended: `generation` serves since.

    Of one that failed, `error` is the type of what made it fail, and `reason` says it in words, for operators.
    `restart_needed` names what the config changed and only a restart can bring about.
    """

    ended_at: datetime
    duration: float
    succeeded: bool
    generation: int
    error: str | None = None
    reason: str | None = None
    restart_needed: tuple[str, ...] = ()


class HostStatus(Protocol):
    """The service through which a plugin sees the generation it runs in: after a reload that keeps it, the next one."""

    @property
    def step(self) -> HostStep: ...

    @property
    def generation(self) -> int: ...

    @property
    def started_at(self) -> datetime: ...

    @property
    def version(self) -> str: ...

    @property
    def debug(self) -> bool: ...

    @property
    def docs(self) -> bool:
        """Whether the API shows its documents, like `/openapi.json`."""
        ...

    @property
    def checks(self) -> Sequence[OwnedCheck]: ...

    @property
    def unavailable(self) -> Mapping[str, str]:
        """The skipped plugins and why each is not available."""
        ...

    @property
    def last_reload(self) -> ReloadOutcome | None:
        """How the last reload of this process ended; None before the first."""
        ...
