"""From settings to a client of redis-py. Nothing is connected before its first command."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from powerstrip_redis.addresses import Address
from powerstrip_redis.connections import (
    SentinelConnection,
    SentinelTlsConnection,
    SocketConnection,
    TcpConnection,
    TlsConnection,
)
from powerstrip_redis.pools import Turns, WaitingCluster, WaitingPool, WaitingSentinelPool
from powerstrip_redis.settings import RedisSettings

RedisClient = Redis | RedisCluster

_FIRST_PAUSE = 0.01  # seconds before a command is sent again; doubled each time, up to
_LAST_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class OpenClient:
    """A client, how many of its connections are in use, and how it is closed."""

    client: RedisClient
    turns: Turns
    close: Callable[[], Awaitable[None]]


def open_client(
    settings: RedisSettings, *, size: int, timeout: float | None, retries: int, wait: float | None
) -> OpenClient:
    """Make a client with at most `size` connections, for which callers wait `wait` seconds.

    `timeout` is how many seconds the server may take to answer; None waits for ever.
    """
    turns = Turns(size, wait)
    options = {
        **_credentials(settings.address),
        "socket_timeout": timeout,
        "socket_connect_timeout": settings.connect_timeout,
        "health_check_interval": settings.ping_after,
        "retry": _retry(retries),
        # A protocol of one vendor's hosted service; asking for it costs each connection a round trip.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "client_name": "powerstrip",
    }
    opening = {"standalone": _standalone, "sentinel": _sentinel, "cluster": _cluster}[settings.address.mode]
    return opening(settings, turns, options)


def _standalone(settings: RedisSettings, turns: Turns, options: dict[str, Any]) -> OpenClient:
    address = settings.address
    options["db"] = address.database
    if address.path is not None:
        pool = WaitingPool(turns=turns, connection_class=SocketConnection, path=address.path, **options)
    else:
        [(host, port)] = address.hosts
        kind = TlsConnection if address.tls else TcpConnection
        pool = WaitingPool(turns=turns, connection_class=kind, host=host, port=port, **_tls(settings), **options)
    client = Redis.from_pool(pool)
    return OpenClient(client, turns, client.aclose)


def _sentinel(settings: RedisSettings, turns: Turns, options: dict[str, Any]) -> OpenClient:
    address = settings.address
    password = settings.sentinel_password
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        address.hosts,
        sentinel_kwargs={
            "username": settings.sentinel_username,
            "password": password.get_secret_value() if password else None,
            "socket_timeout": settings.timeout,
            "socket_connect_timeout": settings.connect_timeout,
            "retry": _retry(0),
            "maint_notifications_config": options["maint_notifications_config"],
            **({"ssl": True} if address.tls else {}),
            **_tls(settings),
        },
    )
    pool = WaitingSentinelPool(
        turns=turns,
        service_name=address.service,
        sentinel_manager=sentinel,
        connection_class=SentinelTlsConnection if address.tls else SentinelConnection,
        db=address.database,
        **_tls(settings),
        **options,
    )
    client = Redis.from_pool(pool)

    async def close() -> None:
        try:
            await client.aclose()
        finally:
            await sentinel.aclose()

    return OpenClient(client, turns, close)


def _cluster(settings: RedisSettings, turns: Turns, options: dict[str, Any]) -> OpenClient:
    address = settings.address
    nodes = [ClusterNode(host, port) for host, port in address.hosts]
    client = WaitingCluster(turns=turns, startup_nodes=nodes, ssl=address.tls, **_tls(settings), **options)
    return OpenClient(client, turns, client.aclose)


def _credentials(address: Address) -> dict[str, Any]:
    return {"username": address.username, "password": address.password}


def _tls(settings: RedisSettings) -> dict[str, Any]:
    if not settings.address.tls:
        return {}
    return {
        "ssl_ca_certs": settings.tls.ca_file,
        "ssl_certfile": settings.tls.certificate_file,
        "ssl_keyfile": settings.tls.key_file,
        "ssl_check_hostname": settings.tls.check_hostname,
    }


def _retry(retries: int) -> Retry:
    # Not after a timeout: the command may have run, and the next answer would take as long.
    pauses = ExponentialWithJitterBackoff(base=_FIRST_PAUSE, cap=_LAST_PAUSE)
    return Retry(pauses, retries, supported_errors=(RedisConnectionError,))
