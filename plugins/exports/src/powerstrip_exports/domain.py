"""Formats, compressions and what is wanted of a source. Nothing here reads or writes anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from powerstrip import ExportColumn, ExportSource, Identity

Row = Sequence[Any]


class Format(StrEnum):
    """What a file is written in."""

    CSV = "csv"
    EXCEL = "excel"
    NDJSON = "ndjson"
    JSON = "json"
    PARQUET = "parquet"


class Compression(StrEnum):
    """What a file is packed with."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


MEDIA_TYPES = MappingProxyType(
    {
        Format.CSV: "text/csv; charset=utf-8; header=present",  # RFC 4180, 3
        Format.EXCEL: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Format.NDJSON: "application/x-ndjson",
        Format.JSON: "application/json",
        Format.PARQUET: "application/vnd.apache.parquet",
    }
)
_PACKED_TYPES = MappingProxyType({Compression.GZIP: "application/gzip", Compression.ZSTD: "application/zstd"})
_ENDINGS = MappingProxyType({Format.EXCEL: "xlsx"})
_PACKED_ENDINGS = MappingProxyType({Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"})


# What an answer with a file may be, for the OpenAPI document.
DOCUMENTED_CONTENT: Mapping[str, Any] = MappingProxyType(
    {
        **{
            name.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for name in (*MEDIA_TYPES.values(), *_PACKED_TYPES.values())
        },
        MEDIA_TYPES[Format.JSON]: {"schema": {"type": "array", "items": {"type": "object"}}},
    }
)


def media_type(kind: Format, compression: Compression) -> str:
    """The media type of a file."""
    return _PACKED_TYPES.get(compression) or MEDIA_TYPES[kind]


def ending(kind: Format, compression: Compression) -> str:
    """The end of a file's name, without a dot in front."""
    return _ENDINGS.get(kind, kind.value) + _PACKED_ENDINGS[compression]


@dataclass(frozen=True, slots=True)
class Permission:
    """A thing that roles may be allowed."""

    name: str
    title: str


MANAGE_EXPORTS = "exports:manage"

PERMISSIONS = (Permission(MANAGE_EXPORTS, "See, fetch and stop the exports of others"),)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen columns of a source, in the order they were asked for, and which of them are left empty."""

    source: ExportSource
    columns: Sequence[ExportColumn]
    masked: frozenset[str] = frozenset()

    @property
    def positions(self) -> list[int]:
        """Where the chosen columns stand among the source's own."""
        names = [column.name for column in self.source.columns]
        return [names.index(column.name) for column in self.columns]


def masked_for(
    source: ExportSource, caller: Identity | None, masks: Mapping[str, Collection[str]] = MappingProxyType({})
) -> frozenset[str]:
    """The names of the columns that this caller gets empty; `masks` are the operator's, by role."""
    if caller is None:
        return frozenset()
    by_role = [set(masks.get(role, ())) for role in caller.roles]
    # Whoever has several roles sees what any of them shows.
    hidden = set.intersection(*by_role) if by_role else set()
    return frozenset(
        column.name
        for column in source.columns
        if column.name in hidden or (column.sensitive and not caller.may(column.reveal or "*"))
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, and how many rows it holds."""

    rows: int
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a table as columns, each a list in JSON; texts that are missing are a mark (`forms.NULL`)."""

    rows: int
    lists: Sequence[bytes]

    def __len__(self) -> int:
        return self.rows


@dataclass(slots=True)
class Tally:
    """How far an export got."""

    rows: int = 0
    bytes: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
