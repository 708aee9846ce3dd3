"""What an operator can set. Times are in seconds."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from powerstrip import PluginSettings


class Budget(PluginSettings):
    """What one caller may export. `null` is no limit."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows of one export."""

    bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of one export, as they are sent or stored."""

    jobs: Annotated[int, Field(ge=0, le=1_000)] = 3
    """Jobs of one caller that wait or run at a time."""


class ExportsSettings(PluginSettings):
    """Exports."""

    streams: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Streams at a time, in each worker. Each holds a connection to the database for as long as its client reads;
    more are answered 503 with `Retry-After`."""

    stream_timeout: Annotated[float, Field(gt=0, le=86_400)] = 3_600
    """How long a stream may take before it is broken off, whatever its client's speed: until then it holds a
    snapshot of the database."""

    mask: Mapping[str, Mapping[str, list[str]]] = Field(default_factory=dict)
    """Columns that are left empty, by source and role: `{users: {moderator: [phone]}}`."""

    budget: Budget = Budget()
    """What callers may export whose roles stand in no line of `budgets`."""

    budgets: Mapping[str, Budget] = Field(default_factory=dict)
    """The same by role; of several roles' budgets the largest counts."""
