"""URLs of servers: which are understood, and what they mean."""

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

Mode = Literal["standalone", "sentinel", "cluster"]

_SCHEMES: MappingProxyType[str, tuple[Mode, bool]] = MappingProxyType(
    {
        "redis": ("standalone", False),
        "rediss": ("standalone", True),
        "valkey": ("standalone", False),
        "valkeys": ("standalone", True),
        "unix": ("standalone", False),
        "redis+sentinel": ("sentinel", False),
        "rediss+sentinel": ("sentinel", True),
        "redis+cluster": ("cluster", False),
        "rediss+cluster": ("cluster", True),
    }
)
_PORTS: MappingProxyType[Mode, int] = MappingProxyType({"standalone": 6379, "sentinel": 26379, "cluster": 6379})
_EXAMPLES = "redis://HOST:PORT/0, rediss://HOST (TLS), redis+sentinel://HOST,HOST/SERVICE, redis+cluster://HOST,HOST"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL, taken apart; its text form hides the password. `hosts` are servers, sentinels or nodes of a cluster."""

    mode: Mode
    tls: bool
    hosts: tuple[tuple[str, int], ...] = ()
    path: str | None = None
    database: int = 0
    service: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_address(text: str) -> Address:
    """Take a URL apart. Raises ValueError, whose message never repeats the URL: it may hold a password."""
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError(f"is no URL of a server; it looks like {_EXAMPLES}") from None
    if url.scheme not in _SCHEMES:
        raise ValueError(f"begins with no scheme that is known; it looks like {_EXAMPLES}")
    mode, tls = _SCHEMES[url.scheme]
    if url.fragment or (url.query and url.scheme != "unix"):
        raise ValueError("has options behind a '?' or '#'; they stand in the settings beside it")
    credentials, _, hosts = url.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    where = _socket(url, hosts) if url.scheme == "unix" else _network(url, hosts, mode, tls=tls)
    return replace(where, username=unquote(username) or None, password=unquote(password) or None)


def _socket(url: SplitResult, host: str) -> Address:
    if host or not url.path:
        raise ValueError("needs three slashes before the path of a socket: unix:///run/redis.sock?db=0")
    return Address("standalone", tls=False, path=unquote(url.path), database=_database(url.query.removeprefix("db=")))


def _network(url: SplitResult, hosts: str, mode: Mode, *, tls: bool) -> Address:
    service, database = _path_of(url.path, mode)
    return Address(mode, tls, _hosts(hosts, mode), service=service, database=database)


def _path_of(path: str, mode: Mode) -> tuple[str | None, int]:
    parts = [unquote(part) for part in path.split("/") if part]
    if mode == "cluster":
        if parts not in ([], ["0"]):
            raise ValueError("names a database after its hosts, and a cluster has none but 0")
        return None, 0
    service = None
    if mode == "sentinel":
        if not parts:
            raise ValueError("must name the service after its hosts: redis+sentinel://HOST,HOST/SERVICE")
        service = parts.pop(0)
    if len(parts) > 1:
        raise ValueError(f"has too many parts after its hosts; it looks like {_EXAMPLES}")
    return service, _database("".join(parts))


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise ValueError("must end with the number of a database, like the 0 in redis://HOST:PORT/0")
    return int(text or 0)


def _hosts(text: str, mode: Mode) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_host(part, _PORTS[mode]) for part in text.split(",")) if text else ()
    if not hosts:
        raise ValueError("names no host")
    if mode == "standalone" and len(hosts) > 1:
        raise ValueError("names several hosts; begin it with redis+sentinel:// or redis+cluster://")
    return hosts


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0:
        raise ValueError("has a host that can't be read; ports end at 65535, an IPv6 address stands in brackets")
    return host, port or default_port
