"""Pools whose callers wait for a free connection, where redis-py's own fail at once.

redis-py has a pool that waits, for single servers. It wakes one waiter for each connection that gets free, and when
just that one is cancelled nobody else is woken; here a turn is handed on.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

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
    """As many turns at a time as there are connections. Who waits longest is next."""

    def __init__(self, size: int, timeout: float | None) -> None:
        """`timeout` is how many seconds to wait for a turn; None waits for ever."""
        self.size = size
        self.taken = 0
        self._timeout = timeout
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take one if nobody has to wait; whether there was one."""
        if self.taken >= self.size or self._waiting:
            return False
        self.taken += 1
        return True

    async def take(self) -> None:
        """Wait for a turn. Raises NoFreeConnection."""
        if self.take_now():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it came when its taker had given up
                self.give_back()
            else:
                with suppress(ValueError):  # who gives one back passes over those that have given up
                    self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise NoFreeConnection("no connection got free in time") from None
            raise

    def give_back(self) -> None:
        """Let the next one go."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

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

    def ready_connection(self) -> CancellableConnection | None:
        """One that can be used at once, if there is one."""
        idle = cast("list[CancellableConnection]", self._available_connections)
        if not idle or not idle[-1].is_at_rest or not self._turns.take_now():
            return None
        connection: CancellableConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        return connection

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
