"""The trace that each export leaves."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from powerstrip import AuditLog, AuditRecord, Identity, Services
from powerstrip_exports.domain import Compression
from powerstrip_exports.reading import Wanted

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for the audit log."""

    caller: Identity | None
    request_id: str | None = None
    client_address: str = "local"


class Audit:
    """Leaves a trace of each export: in the audit log where a plugin keeps one, else in the log of the server."""

    def __init__(self, services: Services) -> None:
        self._log = services.get(AuditLog)

    async def note(self, action: str, asker: Asker, facts: Mapping[str, Any]) -> None:
        if self._log is None:
            logger.info(action, extra={"caller": asker.caller.id if asker.caller else None, **facts})
            return
        await self._log.record(AuditRecord(action, asker.caller, facts, asker.request_id, asker.client_address))


def facts_of(wanted: Wanted, compression: Compression) -> dict[str, Any]:
    """What an export is about, for the audit log."""
    filters = wanted.context.filters
    stated = filters.model_dump(mode="json", exclude_unset=True) if filters is not None else {}
    return {
        "source": wanted.selection.source.name,
        "format": wanted.format.value,
        "columns": [column.name for column in wanted.selection.columns],
        "masked": sorted(wanted.selection.masked),
        "filters": stated,
        **({"compression": compression.value} if compression is not Compression.NONE else {}),
    }
