"""Connections of redis-py that can be cancelled at any moment.

redis-py sends each command through `asyncio.wait_for`, which makes a task for it and, before Python 3.12, may lose a
cancellation that comes as it ends (CPython issue 86296): the caller then waits for an answer that nobody wants any
more, from a frozen server for as long as a timeout. It also tries out a connection that it has just opened.
"""

import asyncio
from collections.abc import Iterable
from math import inf
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError


class CancellableConnection(AbstractConnection):
    """What all of them have in common."""

    _is_overdue = False

    async def exchange(self, commands: Iterable[bytes]) -> list[Any]:
        """Send packed commands in one go; returns their answers, errors among them.

        It takes as long as it takes, unless somebody cuts it off: then it raises redis-py's TimeoutError.
        """
        await self.check_health()  # type: ignore[no-untyped-call]
        self._is_overdue = False
        try:
            await self._send_packed_command(commands)
            return [await self._read() for _ in commands]
        except (OSError, RedisConnectionError) as error:
            await self.disconnect(nowait=True)
            if self._is_overdue:
                raise RedisTimeoutError("No answer in time") from error
            raise RedisConnectionError(f"Connection lost: {error}") from error
        except BaseException:
            # Half of a command may have been sent, or of its answer read: this connection is of no use any more.
            await self.disconnect(nowait=True)
            raise

    def cut_off(self) -> None:
        """Close it at once: what it is being asked takes too long."""
        self._is_overdue = True
        if self._writer is not None:
            self._writer.transport.abort()

    async def _read(self) -> Any:
        try:
            return await self.read_response(timeout=inf)
        except ResponseError as error:
            return error

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: ARG002
        await super().on_connect_check_health(check_health=False)

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,
    ) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(_parts(command))
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout writing to socket") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"Error while writing to socket: {error}") from error
        except BaseException:
            # Half of a command may have been sent, so this connection is of no use any more.
            await self.disconnect(nowait=True)
            raise


def _parts(command: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(command, str):
        return [command.encode()]
    return [command] if isinstance(command, bytes) else command


class TcpConnection(CancellableConnection, Connection):
    """To a host and port."""


class TlsConnection(CancellableConnection, SSLConnection):
    """The same with TLS."""


class SocketConnection(CancellableConnection, UnixDomainSocketConnection):
    """Over a Unix socket."""


class SentinelConnection(CancellableConnection, SentinelManagedConnection):
    """To a server that sentinels name."""


class SentinelTlsConnection(CancellableConnection, SentinelManagedSSLConnection):
    """The same with TLS."""
