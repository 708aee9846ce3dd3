"""Connections of redis-py that can be cancelled at any moment.

redis-py sends each command through `asyncio.wait_for`, which makes a task for it and, before Python 3.12, may lose a
cancellation that comes as it ends (CPython issue 86296): the caller then waits for an answer that nobody wants any
more, from a frozen server for as long as a timeout. It also tries out a connection that it has just opened.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from powerstrip_redis.answers import AnswerReader


class CancellableConnection(AbstractConnection):
    """What all of them have in common."""

    _is_overdue = False
    _answers: AnswerReader | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether it is connected, and the server has neither closed it nor said anything since its last answer."""
        reader = self._reader
        return reader is not None and self._socket_is_empty() and not reader.at_eof()  # type: ignore[no-untyped-call]

    async def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        """Send packed commands in one go; returns their answers, errors among them.

        It takes as long as it takes, unless somebody cuts it off: then it raises redis-py's TimeoutError.
        """
        now = asyncio.get_running_loop().time()
        if self.health_check_interval:
            if now > self.next_health_check:
                await self.check_health()  # type: ignore[no-untyped-call]
            self.next_health_check = now + self.health_check_interval
        self._is_overdue = False
        try:
            return await self._asked(commands)
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

    def _asked(self, commands: Sequence[bytes]) -> "asyncio.Future[list[Any]]":
        transport = cast("asyncio.Transport", cast("asyncio.StreamWriter", self._writer).transport)
        if transport.is_closing():
            raise RedisConnectionError("it is closed")
        reader = self._answers
        if reader is None or reader.transport is not transport:
            self._answers = reader = AnswerReader(transport, self._parser.parse_error)
        return reader.ask(commands)

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


class _DemotableConnection(CancellableConnection):
    """Looks for the new primary when the old one says that it is none any more, as redis-py's own do."""

    async def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        answers = await super().exchange(commands)
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            await self.disconnect(nowait=True)
            raise RedisConnectionError("it was to the primary that was")
        return answers


class SentinelConnection(_DemotableConnection, SentinelManagedConnection):
    """To a server that sentinels name."""


class SentinelTlsConnection(_DemotableConnection, SentinelManagedSSLConnection):
    """The same with TLS."""
