"""Sees through trusted proxies to the client behind them."""

from functools import lru_cache
from typing import ClassVar

from starlette.types import Scope

from powerstrip import Exchange, Interceptor, Stage
from powerstrip_edge.domain.forwarding import Forwarding, parse_address, read_forwarded, read_x_forwarded
from powerstrip_edge.settings import EdgeSettings

# Distinct peers of a server behind proxies are few; a flood of others only costs them their place here.
_REMEMBERED_PEERS = 1024


class TrustedProxies(Interceptor):
    """Puts the client's address, scheme and host into the scope as the trusted proxies saw them.

    It reads `scope["headers"]` and not `exchange.headers`, which would remember the old host.
    """

    stage = Stage.OBSERVE
    writes: ClassVar[frozenset[str]] = frozenset(("client",))

    def __init__(self, settings: EdgeSettings) -> None:
        self._networks = settings.proxies.networks
        self._trusts_sockets = settings.proxies.unix_sockets
        self._read = read_forwarded if settings.proxies.header == "forwarded" else read_x_forwarded
        self._is_trusted = lru_cache(_REMEMBERED_PEERS)(self._is_in_networks)

    def on_request(self, exchange: Exchange) -> None:
        scope = exchange.scope
        peer = scope.get("client")
        if self._is_trusted(peer[0]) if peer and peer[0] else self._trusts_sockets:
            _rewrite(scope, self._read(scope["headers"], self._is_trusted))

    def _is_in_networks(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _rewrite(scope: Scope, seen: Forwarding) -> None:
    if seen.client is not None:
        scope["client"] = seen.client
    if seen.scheme is not None:
        scope["scheme"] = seen.scheme.replace("http", "ws") if scope["type"] == "websocket" else seen.scheme
    if seen.host is not None:
        host = (b"host", seen.host.encode("latin-1"))
        scope["headers"] = [host, *(pair for pair in scope["headers"] if pair[0] != b"host")]
