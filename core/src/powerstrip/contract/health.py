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


class HostStatus(Protocol):
    """The service through which a plugin sees the generation it runs in."""

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
    def checks(self) -> Sequence[OwnedCheck]: ...

    @property
    def unavailable(self) -> Mapping[str, str]:
        """The skipped plugins and why each is not available."""
        ...
