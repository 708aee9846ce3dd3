"""Runs the revisions of one plugin; Alembic loads this file, `migrations.py` prepares what it needs."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from powerstrip_database.tables import UTCDateTime

_OPTIONS = ("connection", "include_name", "render_as_batch", "target_metadata", "version_table")


def _render_item(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    if kind == "type" and isinstance(item, UTCDateTime):
        autogenerate.imports.add("from powerstrip_database import UTCDateTime")
        return "UTCDateTime()"
    return False


context.configure(render_item=_render_item, **{name: context.config.attributes[name] for name in _OPTIONS})
with context.begin_transaction():
    context.run_migrations()
