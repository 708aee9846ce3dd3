"""Whom a request is counted for."""

from collections.abc import Mapping, Sequence

from fastapi.requests import HTTPConnection
from starlette.types import Scope

from powerstrip import Identity
from powerstrip_ratelimit.domain.clients import Clients, bounded, digested
from powerstrip_ratelimit.hooks import RateLimitKey
from powerstrip_ratelimit.settings import RatelimitSettings

OWN_KEYS = ("client", "address", "identity", "api-key")
"""What requests can be counted by without anybody's help, beside headers."""

_NOWHERE = "address:unknown"  # a Unix socket without a proxy that says more: all of them are one client


class Subjects:
    """Finds the subject of a request for each kind of key.

    Addresses are those of the connection, or what `edge` put in their place for a trusted proxy; headers of strangers,
    `User-Agent` among them, are never looked at.
    """

    def __init__(self) -> None:
        self._clients = Clients(32, 64, ())
        self._api_key_header = ""
        self._keys: Mapping[str, RateLimitKey] = {}

    def use(self, settings: RatelimitSettings) -> None:
        """Group and exempt addresses as these settings say."""
        self._clients = Clients(settings.ipv4_prefix, settings.ipv6_prefix, settings.exempt.networks)
        self._api_key_header = settings.api_key_header

    def hear(self, keys: Sequence[RateLimitKey]) -> None:
        """Let requests be counted by plugins' keys."""
        self._keys = {key.name: key for key in keys}

    def address(self, scope: Scope) -> str:
        """The address that a request comes from."""
        client = scope.get("client")
        return self._clients.subject_of(client[0]) if client else _NOWHERE

    def is_exempt(self, scope: Scope) -> bool:
        """Whether a request comes from an exempt network."""
        client = scope.get("client")
        return client is not None and self._clients.has_exempt and self._clients.is_exempt(client[0])

    def client(self, scope: Scope, identity: Identity | None) -> str:
        """The identity, or the address of a stranger."""
        return self.address(scope) if identity is None else identity_subject(identity.id)

    def find(self, key: str, scope: Scope, identity: Identity | None) -> str | None:
        """The subject by a kind of key, or None where it has none."""
        if key == "client":
            return self.client(scope, identity)
        if key == "address":
            return self.address(scope)
        if key == "identity":
            return None if identity is None else identity_subject(identity.id)
        if key in self._keys:
            value = self._keys[key].find(HTTPConnection(scope))
            return None if value is None else f"{key}:{bounded(value)}"
        name = self._api_key_header if key == "api-key" else key.removeprefix("header:")
        value = _header(scope, name)
        return self.client(scope, identity) if value is None else f"{key.lower()}:{digested(value)}"

    def from_text(self, text: str) -> str:
        """The subject that an operator means: `192.0.2.7`, `address:...`, `identity:ID`, `api-key:VALUE`,
        `header:NAME:VALUE`, or a plugin's `KEY:VALUE`."""
        kind, _, value = text.partition(":")
        if kind == "identity":
            return identity_subject(value)
        if kind == "api-key":
            return f"api-key:{digested(value)}"
        if kind == "header":
            name, _, value = value.partition(":")
            return f"header:{name.lower()}:{digested(value)}"
        if kind in self._keys:
            return f"{kind}:{bounded(value)}"
        host, _, prefix = (value if kind == "address" else text).partition("/")
        return f"address:{host}/{prefix}" if prefix else self._clients.subject_of(host)


def identity_subject(identity_id: str) -> str:
    return f"identity:{bounded(identity_id)}"


def _header(scope: Scope, name: str) -> str | None:
    wanted = name.lower().encode("latin-1")
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == wanted), None)
