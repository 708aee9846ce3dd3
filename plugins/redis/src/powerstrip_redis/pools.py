"""Pools whose callers wait for a free connection, where redis-py's own fail at once.

redis-py has a pool that waits, for single servers. It wakes one waiter for each connection that gets free, and when
just that one is cancelled nobody else is woken; a semaphore hands its turn on.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterPipeline
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError

from powerstrip_redis.connections import CancellableConnection, TcpConnection, TlsConnection
from powerstrip_redis.errors import NoFreeConnection

# Of each node beside the pool: finding out what the cluster looks like.
_SPARE = 4


class Turns:
    """As many turns at a time as there are connections."""

    def __init__(self, size: int, timeout: float | None) -> None:
        """`timeout` is how many seconds to wait for a turn; None waits for ever."""
        self.size = size
        self._timeout = timeout
        self._free = asyncio.Semaphore(size)
        self.taken = 0

    @property
    def is_dry(self) -> bool:
        """Whether one has to wait."""
        return self._free.locked()

    async def take(self) -> None:
        """Wait for a turn. Raises NoFreeConnection."""
        if self.is_dry:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._free.acquire()
            except TimeoutError:
                raise NoFreeConnection("no connection got free in time") from None
        else:
            await self._free.acquire()
        self.taken += 1

    def give_back(self) -> None:
        """Let the next one go."""
        self.taken -= 1
        self._free.release()

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None]:
        await self.take()
        try:
            yield
        finally:
            self.give_back()


class WaitingPool(ConnectionPool):
    """Connections to one server."""

    def __init__(self, *, turns: Turns, **options: Any) -> None:
        self._turns = turns
        super().__init__(**options, max_connections=turns.size)

    async def get_connection(self, *_ignored: Any, **_options: Any) -> CancellableConnection:
        await self._turns.take()
        connection: CancellableConnection | None = None
        try:
            connection = self.get_available_connection()  # type: ignore[no-untyped-call]
            if not await _is_ready(connection):
                await self.ensure_connection(connection)
        except BaseException:
            if connection is None:
                self._turns.give_back()
            else:
                await self.release(connection)
            raise
        return connection

    async def ready_connection(self) -> CancellableConnection | None:
        """One that can be used at once, if there is one; never waits."""
        if self._turns.is_dry or not self._available_connections:
            return None
        await self._turns.take()
        connection: CancellableConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        if await _is_ready(connection):
            return connection
        await self.release(connection)
        return None

    async def release(self, connection: AbstractConnection) -> None:
        try:
            if connection.should_reconnect():  # type: ignore[no-untyped-call]
                await super().release(connection)
            else:  # what redis-py does then, without its lock, events and measurements: a tenth of a command's time
                self._in_use_connections.remove(connection)
                self._available_connections.append(connection)
        finally:
            self._turns.give_back()


async def _is_ready(connection: AbstractConnection) -> bool:
    """Whether it is connected, and the server has neither closed it nor said anything since its last answer."""
    if not connection.is_connected:
        return False
    try:
        return not await connection.can_read()
    except RedisConnectionError:
        return False


class WaitingSentinelPool(WaitingPool, SentinelConnectionPool):
    """Connections to whichever server the sentinels call the primary."""


class WaitingCluster(RedisCluster):
    """Connections to the nodes of a cluster. As many commands run at a time as one node may have connections."""

    def __init__(self, *, turns: Turns, **options: Any) -> None:
        self.turns = turns
        super().__init__(max_connections=turns.size + _SPARE, **options)
        # redis-py lets nobody choose the class of a cluster's connections.
        kind = TlsConnection if options.get("ssl") else TcpConnection
        self.nodes_manager.connection_kwargs["connection_class"] = kind
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = kind

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        async with self.turns.one():
            return await super().execute_command(*arguments, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        if shard_hint:
            raise ValueError("there are no shard hints in a cluster")
        return _WaitingPipeline(self, transaction)  # type: ignore[abstract] # what is said to be missing is never used


class _WaitingPipeline(ClusterPipeline):
    cluster_client: WaitingCluster

    async def execute(self, *arguments: Any, **options: Any) -> list[Any]:
        async with self.cluster_client.turns.one():
            results: list[Any] = await super().execute(*arguments, **options)
            return results
