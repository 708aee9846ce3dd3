"""The service that other plugins use: one pool of connections, behind a circuit breaker."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any, cast

from redis.exceptions import ClusterDownError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from powerstrip import SharedServer
from powerstrip_redis.breaker import CircuitBreaker, OpenCircuit, State
from powerstrip_redis.clients import OpenClient, RedisClient, open_client
from powerstrip_redis.deadlines import Deadlines
from powerstrip_redis.errors import Cause, NoFreeConnection, RedisUnavailable
from powerstrip_redis.pools import WaitingPool
from powerstrip_redis.settings import RedisSettings

# What says that the server as a whole can't be asked. The last is what asyncio.timeout raises.
_AWAY = (RedisConnectionError, RedisTimeoutError, RedisClusterException, ClusterDownError, TimeoutError)


class RedisConnections(SharedServer):
    """A Redis or Valkey server, a Sentinel setup or a cluster: one pool of connections for all plugins.

    - Nothing is connected before it is needed, so a server that is away stops nobody from starting.
    - Who finds all connections in use waits for one, and fails only after `pool_timeout`.
    - While the server is away, `available()` refuses at once instead of letting everybody find out again.
    - Answers are bytes, as they were stored.

    In a cluster, all keys of a command or script must have the same hash tag: `connections.key("x", "{ann}", "a")`.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._mode = settings.address.mode
        self._commands = self._open(size=settings.pool_size, retries=settings.retries)
        self._deadlines = Deadlines()
        self._breaker = CircuitBreaker("the Redis server", self._ping_apart, settings.longest_pause)
        self._guard = _Guard(self._breaker, settings.retry_after)

    @property
    def client(self) -> RedisClient:
        """redis-py's client, without the circuit breaker: its calls may take as long as the settings say. They raise
        redis-py's errors, which become 503 when nobody catches them."""
        return self._commands.client

    @property
    def is_available(self) -> bool:
        """Whether a call makes sense, as far as anybody knows."""
        return self._breaker.state is not State.OPEN

    def key(self, *parts: str) -> str:
        """The name of a key, which begins with the configured prefix; its parts are joined by colons."""
        return self._settings.key_prefix + ":".join(parts)

    @property
    def is_cluster(self) -> bool:
        """Whether `client` is a RedisCluster."""
        return self._mode == "cluster"

    @asynccontextmanager
    async def available(self, within: float | None = None) -> AsyncGenerator[RedisClient]:
        """The client, for calls that are worth making: `async with connections.available(0.2) as client: ...`

        All that is done inside may take `within` seconds, unless None. Raises RedisUnavailable when the server is
        away, at once if that is known already. Do nothing inside that does not wait for the server.
        """
        admitted = self._guard.admit()
        try:
            async with asyncio.timeout(within):
                yield self._commands.client
        except BaseException as error:
            self._guard.failed(admitted, error)
            raise
        self._guard.succeeded(admitted)

    async def exchange(self, commands: Sequence[bytes], within: float) -> list[Any]:
        """Send commands, each packed as the protocol wants it (RESP), in one go over one connection.

        Returns their answers in order, among them redis-py's ResponseErrors, which are not raised. For those who ask
        often: it takes half of the time, and no cluster, where each command has a node of its own. When a connection
        that was at rest turns out to be lost, they are sent again once, in what is left of the time. Raises
        RedisUnavailable as `available` does.
        """
        admitted = self._guard.admit()
        try:
            answers = await self._exchange(commands, within)
        except BaseException as error:
            self._guard.failed(admitted, error)
            raise
        self._guard.succeeded(admitted)
        return answers

    async def _exchange(self, commands: Sequence[bytes], within: float) -> list[Any]:
        pool = cast("WaitingPool", self._commands.client.connection_pool)  # type: ignore[union-attr] # no cluster has one
        connection = pool.ready_connection()
        due: float | None = None
        if connection is not None:
            due = self._deadlines.begin(connection, within)
            try:
                return await connection.exchange(commands)
            except RedisConnectionError:
                if not self._settings.retries:
                    raise
            finally:
                self._deadlines.end(connection)
                await pool.release(connection)
        async with asyncio.timeout(within) if due is None else asyncio.timeout_at(due):
            connection = await pool.get_connection()
            try:
                return await connection.exchange(commands)
            finally:
                await pool.release(connection)

    def blocking(self, longest: float | None = None) -> AbstractAsyncContextManager[RedisClient]:
        """A client of its own with one connection, for whoever waits for the server: pub/sub, XREAD, BLPOP.

        `longest` is how many seconds such a command may block; None means for ever, and then a server that is there and
        says nothing is only noticed by whoever looks. Nothing is sent again: begin anew after redis-py's errors, when
        `wait_until_available` returns.
        """
        return self._blocking(longest)

    async def wait_until_available(self) -> None:
        """Return when the server answers, which it is asked ever less often. For tasks, never for requests."""
        pause = 0.05
        while True:
            try:
                async with self.available() as client:
                    await _ping(client)
            except RedisUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._settings.longest_pause)
            else:
                return

    async def probe(self) -> Mapping[str, Any]:
        """Ask the server for something; returns facts about it. Raises RedisUnavailable."""
        started = perf_counter()
        async with self.available() as client:
            await _ping(client)
        return {
            "mode": self._mode,
            "latency_ms": round((perf_counter() - started) * 1000, 2),
            "connections": {"in_use": self._commands.turns.taken, "limit": self._commands.turns.size},
        }

    async def close(self) -> None:
        """Close all connections."""
        self._deadlines.close()
        await self._breaker.close()
        await self._commands.close()

    @asynccontextmanager
    async def _blocking(self, longest: float | None) -> AsyncGenerator[RedisClient]:
        timeout = None if longest is None else longest + self._settings.timeout
        opened = open_client(self._settings, size=1, timeout=timeout, retries=0, wait=None)
        try:
            yield opened.client
        finally:
            await opened.close()

    async def _ping_apart(self) -> None:
        """Not through the pool, whose connections may all be waiting for a server that is frozen."""
        opened = self._open(size=1, retries=0)
        try:
            await _ping(opened.client)
        finally:
            await opened.close()

    def _open(self, size: int, retries: int) -> OpenClient:
        settings = self._settings
        return open_client(settings, size=size, timeout=settings.timeout, retries=retries, wait=settings.pool_timeout)


class _Guard:
    """The circuit breaker, in the words of redis-py and of problems."""

    def __init__(self, breaker: CircuitBreaker, retry_after: int) -> None:
        self._breaker = breaker
        self._retry_after = retry_after
        self.succeeded = breaker.succeeded

    def admit(self) -> int:
        """Raises RedisUnavailable."""
        try:
            return self._breaker.admit()
        except OpenCircuit:
            raise self._unavailable(Cause.AWAY) from None

    def failed(self, admitted: int, error: BaseException) -> None:
        """Raises RedisUnavailable when that is what the error means."""
        if isinstance(error, NoFreeConnection):
            self._breaker.abandoned(admitted)
            raise self._unavailable(Cause.BUSY) from error
        if isinstance(error, _AWAY):
            self._breaker.failed(admitted, error)
            raise self._unavailable(Cause.AWAY) from error
        self._breaker.abandoned(admitted)

    def _unavailable(self, cause: Cause) -> RedisUnavailable:
        return RedisUnavailable(cause, self._retry_after)


async def _ping(client: RedisClient) -> None:
    await client.execute_command("PING")
