"""What an operator can set."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy import URL

from powerstrip import PluginSettings
from powerstrip_database.addresses import parse_address

Seconds = Annotated[float, Field(gt=0, le=3600)]


class DatabaseSettings(PluginSettings):
    """Settings of the plugin `database`."""

    url: SecretStr = SecretStr("sqlite+aiosqlite:///data/powerstrip.db")
    """Where the data is: `sqlite+aiosqlite:///FILE` or `postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE`.
    It may hold a password, so it is never shown."""

    pool_size: Annotated[int, Field(ge=1, le=500)] = 5
    """Connections that are kept open, in each worker. SQLite has one more, which writes."""

    max_overflow: Annotated[int, Field(ge=0, le=500)] = 10
    """Connections that may be opened beyond `pool_size`, and are closed again after use."""

    pool_timeout: Seconds = 5.0
    """Seconds that a request waits for a free connection before it is answered 503. On SQLite, where one
    transaction writes at a time, also for its turn."""

    max_age: Annotated[float, Field(ge=1, le=86_400)] = 1800.0
    """Seconds after which a connection is replaced, so that servers can move and firewalls forget."""

    ping_after: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds of rest after which a connection to PostgreSQL is tried out before it is used; 0 tries it each time.
    One that the server has closed is noticed at once in any case."""

    connect_timeout: Seconds = 5.0
    """Seconds that connecting to PostgreSQL may take."""

    statement_timeout: Seconds = 30.0
    """Seconds that one statement may take; then it is stopped and the request is answered 503. Migrations may take
    longer."""

    busy_timeout: Seconds = 5.0
    """Seconds to wait while another process writes to the SQLite file."""

    migrate: Literal["auto", "check", "off"] = "auto"
    """What happens at the start to the tables of the plugins: they are brought up to date, the start is refused when
    they are not, or nobody looks."""

    slow_statement: Seconds | None = 0.5
    """Seconds after which a statement is logged as slow, without its values; null logs none."""

    echo: bool = False
    """Logs every statement, without its values. For development."""

    retry_after: Annotated[int, Field(ge=1, le=3600)] = 5
    """Seconds after which a client may ask again, sent as `Retry-After` with each 503."""

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr) -> SecretStr:
        parse_address(url.get_secret_value())
        return url

    @property
    def address(self) -> URL:
        """The URL, taken apart; its text form hides the password."""
        return parse_address(self.url.get_secret_value())
