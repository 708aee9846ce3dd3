"""One client: who it is, what it listens to, and how it is told goodbye."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress

from starlette.types import Message, Send

from powerstrip import Clock, Identity
from powerstrip_realtime.domain import Close, Goodbye
from powerstrip_realtime.frames import Frame, body, notice
from powerstrip_realtime.outlet import Outlet, Trouble
from powerstrip_realtime.settings import QueueSettings
from powerstrip_realtime.wire import Wire

# For a client that takes nothing any more to take the goodbye.
_GOODBYE_LIMIT = 2.0


class Connection(ABC):
    """A WebSocket or an event stream."""

    __slots__ = (
        "_closing",
        "_on_slow",
        "_send",
        "_wire",
        "clock",
        "expires",
        "goodbye",
        "identity",
        "network",
        "outlet",
        "topics",
    )

    def __init__(
        self, send: Send, network: str, settings: QueueSettings, clock: Clock, on_slow: Callable[[Trouble], None]
    ) -> None:
        self._send = send
        self._wire = Wire(send)
        self._on_slow = on_slow
        self._closing: asyncio.Task[None] | None = None
        self.clock = clock
        self.network = network
        self.identity: Identity | None = None
        self.expires = float("inf")
        self.topics: list[str] = []  # smaller than a set, and there are few
        self.goodbye: Goodbye | None = None
        self.outlet = Outlet(self._wire, self, settings, is_socket=self.is_socket)

    @property
    @abstractmethod
    def is_socket(self) -> bool: ...

    @abstractmethod
    def farewell(self, goodbye: Goodbye) -> list[Message]:
        """What is sent last."""

    @property
    def is_open(self) -> bool:
        return self.goodbye is None

    def close(self, goodbye: Goodbye) -> None:
        """End the connection. Nothing that waits is sent any more; returns at once."""
        if self.goodbye is None:
            self.goodbye = goodbye
            self.outlet.shut()
            self._closing = asyncio.create_task(self._say_goodbye(goodbye), name="realtime: goodbye")

    def gone(self) -> None:
        """The client has left, or was told goodbye: forget what waits for it."""
        self.goodbye = self.goodbye or Goodbye(Close.NORMAL)
        self.outlet.shut()

    async def closed(self) -> None:
        """Wait until the goodbye is out, if there is one to be said."""
        if self._closing is not None:
            with suppress(asyncio.CancelledError):
                await self._closing

    def on_trouble(self, trouble: Trouble) -> None:
        if trouble != "gone":
            self._on_slow(trouble)
            self.close(Goodbye(Close.SLOW))

    def dropped(self, count: int) -> Frame:
        return notice("dropped", self.clock.now(), {"count": count})

    async def _say_goodbye(self, goodbye: Goodbye) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_LIMIT):
                for message in self.farewell(goodbye):
                    await self._send(message)
        except TimeoutError:
            self._wire.abort()
        except Exception:  # noqa: BLE001 - it left before it could be told: servers differ in how they say so
            self.gone()


class Socket(Connection):
    """A WebSocket."""

    __slots__ = ("errors",)

    def __init__(
        self, send: Send, network: str, settings: QueueSettings, clock: Clock, on_slow: Callable[[Trouble], None]
    ) -> None:
        super().__init__(send, network, settings, clock, on_slow)
        self.errors = 0

    @property
    def is_socket(self) -> bool:
        return True

    def farewell(self, goodbye: Goodbye) -> list[Message]:
        return [{"type": "websocket.close", "code": goodbye.close.code, "reason": goodbye.reason}]


class Stream(Connection):
    """An event stream."""

    __slots__ = ()

    @property
    def is_socket(self) -> bool:
        return False

    async def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        await self._send({"type": "http.response.start", "status": 200, "headers": list(headers)})

    def farewell(self, goodbye: Goodbye) -> list[Message]:
        close = goodbye.close
        data = {"code": close.code, "reason": close.reason, "reconnect": close.reconnect}
        closing = notice("closing", self.clock.now(), data)
        retry = [body(f"retry: {goodbye.retry_ms}\n\n")] if goodbye.retry_ms is not None else []
        return [*retry, closing.stream, {"type": "http.response.body", "body": b"", "more_body": False}]
