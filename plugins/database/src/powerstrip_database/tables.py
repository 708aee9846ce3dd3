"""How a plugin describes its tables, the same way on SQLite and PostgreSQL."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from os import urandom
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Dialect, MetaData
from sqlalchemy.types import TypeDecorator

# Every constraint has a name, the same one on both databases, so that migrations and `constraint_of` can tell it.
_NAMES = MappingProxyType(
    {
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# RFC 9562, 5.7: the bits of a UUID that say "version 7", and those that hold time and noise.
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62
_FREE_BITS = (1 << 128) - 1 & ~(0xF << 76 | 0x3 << 62)


@dataclass(frozen=True, slots=True)
class Tables:
    """A plugin's tables, and the package that holds their Alembic revisions (`powerstrip_users.migrations`)."""

    metadata: MetaData
    migrations: str


def metadata_for(plugin: str) -> MetaData:
    """The MetaData of a plugin's tables. A CHECK must be named; what else needs a name gets one."""
    return MetaData(naming_convention=dict(_NAMES), info={"plugin": plugin})


def new_id() -> UUID:
    """A UUID that sorts by the time it was made (RFC 9562, 5.7): rows made together lie together in an index."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(urandom(10))
    return UUID(int=(milliseconds << 80 | random) & _FREE_BITS | _VERSION_AND_VARIANT)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime: UTC in the database and from it, naive ones are refused with ValueError.

    SQLite keeps no offsets and PostgreSQL answers in the session's zone; this is the same on both.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone: use datetime.now(UTC) or services[Clock].now()")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
