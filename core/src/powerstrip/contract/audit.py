"""Who did what: told to whichever plugin keeps the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from powerstrip.contract.identity import Identity


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Something that somebody did: `action` is its name (`export.started`), `facts` are JSON values, never secrets.

    `caller` is None for an operator at the command line and for the system itself.
    """

    action: str
    caller: Identity | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    client_address: str = "local"


@runtime_checkable
class AuditLog(Protocol):
    """The service that keeps the audit log, if a plugin provides one."""

    async def record(self, entry: AuditRecord) -> None:
        """Keep an entry for good. Raises what the store raises: what must be traced is not done without a trace."""
        ...
