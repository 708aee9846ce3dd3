"""The server's side of a connection, as far as ASGI lets it be known, and a little further where it is uvicorn."""

from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from typing import Any

from starlette.types import Message, Send


class Wire:
    """Sends messages, at once where that can be done.

    A `send` of uvicorn is a coroutine that ends without ever waiting while the client keeps up, so one step of it does
    the work and no task has to. Other servers' may look at the task they run in: those are sent to by a task.
    """

    __slots__ = ("_server", "_socket", "send")

    def __init__(self, send: Send) -> None:
        self._server, self.send = _innermost(send)
        self._socket = self._server if _takes_frames(self._server) else None

    @property
    def is_direct(self) -> bool:
        """Whether `begin` may be used."""
        return self._server is not None

    def write(self, data: bytes) -> bool:
        """Write a WebSocket frame that is whole already, the same bytes for everybody. False where that can't be done
        now, or at all."""
        socket = self._socket
        if socket is None or socket.close_sent or not socket.writable.is_set() or socket.transport.is_closing():
            return False
        socket.transport.write(data)
        return True

    def begin(self, message: Message) -> Awaitable[None] | None:
        """Send, or start to: returns what has to be awaited if it could not be done at once."""
        sending: Any = self.send(message)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return None
        return _Started(sending, waits_for)

    def abort(self) -> None:
        """Drop the connection without waiting for the client to take what is on its way, if the server lets us."""
        transport = getattr(self._server, "transport", None)
        if transport is not None:
            transport.abort()


class _Started:
    """A coroutine that has made its first step, for a task to go on with."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, None, None]:
        waits_for = self._waits_for
        while True:
            try:
                received = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is for the coroutine, whatever it is
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, received)
            try:
                waits_for = step()
            except StopIteration:
                return


def _takes_frames(server: Any) -> bool:
    """Whether it is uvicorn's WebSocket protocol as we know it, without an extension that would change frames."""
    known = ("close_sent", "conn", "transport", "writable")
    is_known = type(server).__name__ == "WebSocketsSansIOProtocol" and all(hasattr(server, name) for name in known)
    return is_known and not server.conn.extensions


def _innermost(send: Send) -> tuple[Any, Send]:
    """The server's own `send`, behind those of the host, which only care about heads and ends of answers."""
    inner: Any = send
    while inner is not None:
        owner = getattr(inner, "__self__", None)
        if type(owner).__module__.startswith("uvicorn."):
            return owner, inner
        inner = getattr(inner, "send", None) if owner is None else getattr(owner, "server_send", None)
    return None, send
