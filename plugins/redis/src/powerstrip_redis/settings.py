"""What an operator can set."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from powerstrip import PluginSettings
from powerstrip_redis.addresses import Address, parse_address

Seconds = Annotated[float, Field(gt=0, le=3600)]


class TlsSettings(BaseModel):
    """How `rediss://` and its kind prove who is who. Certificates are always checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    ca_file: str | None = None
    """File with the certificates that sign the server's; without it, those that the system trusts."""

    certificate_file: str | None = None
    """File with the certificate that this client shows, if the server asks for one."""

    key_file: str | None = None
    """File with its key."""

    check_hostname: bool = True
    """Whether the server's certificate must name the host of the URL."""


class EventSettings(BaseModel):
    """How events go from process to process."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    carry: bool = True
    """Whether they do. Each process then has one more connection, which waits for news."""

    feed: Annotated[int, Field(ge=100, le=10_000_000)] = 10_000
    """Events that the feed keeps, which every process reads; one that falls back further has missed some, and tells."""

    topics: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Topics whose history is kept; the one that was quiet longest goes first."""

    pending: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Events that wait in a process while the server is away. If there are more, the oldest are lost, and all
    listeners are told that some were."""


class RedisSettings(PluginSettings):
    """Settings of the plugin `redis`."""

    url: SecretStr = SecretStr("redis://localhost:6379/0")
    """Where the server is: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://` with TLS, `unix:///PATH?db=0`,
    `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DATABASE`, `redis+cluster://HOST:PORT,HOST:PORT`, the last two also as
    `rediss+`. It may hold a password, so it is never shown."""

    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]*$", max_length=64)] = "powerstrip:"
    """What every key begins with, so that several applications can share a server."""

    pool_size: Annotated[int, Field(ge=1, le=1000)] = 20
    """Connections that each worker may have open, in a cluster to each of its nodes. When all are in use, callers
    wait."""

    pool_timeout: Seconds = 2.0
    """Seconds that a caller waits for a free connection."""

    connect_timeout: Seconds = 1.0
    """Seconds that connecting may take."""

    timeout: Seconds = 1.0
    """Seconds that the server may take to answer a command."""

    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """How often a command is sent again after its connection was lost; 1 hides that a restarted server has forgotten
    the connections. A command that was not answered in time is never sent again."""

    ping_after: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """Seconds of rest after which a connection is tried out before it is used; 0 never does. One that the server has
    closed is noticed at once in any case."""

    longest_pause: Seconds = 2.0
    """Seconds between two attempts to reach a server that is away, at most. The first follow one another faster."""

    critical: bool = False
    """Whether readiness turns red while the server is away. What it is used for goes on without it, so it need not."""

    retry_after: Annotated[int, Field(ge=1, le=3600)] = 5
    """`Retry-After` of each 503, in seconds."""

    events: EventSettings = EventSettings()
    """The event bus between processes, and the history that `realtime` shows."""

    tls: TlsSettings = TlsSettings()
    """How `rediss://` and its kind prove who is who."""

    sentinel_username: str | None = None
    """User at the sentinels, whose users and passwords are not those of the servers."""

    sentinel_password: SecretStr | None = None
    """Password at the sentinels."""

    @field_validator("url")
    @classmethod
    def _is_supported(cls, url: SecretStr) -> SecretStr:
        parse_address(url.get_secret_value())
        return url

    @property
    def address(self) -> Address:
        """The URL, taken apart; its text form hides the password."""
        return parse_address(self.url.get_secret_value())
