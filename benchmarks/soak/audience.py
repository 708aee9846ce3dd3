"""WebSockets and event streams that listen for numbered events, and notice each one that is missing."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


@dataclass
class Heard:
    """The numbers that one connection was told, where in the log each was, and why it ended before it was closed."""

    name: str
    numbers: list[int] = field(default_factory=list)
    positions: list[tuple[str, int]] = field(default_factory=list)
    ended: str | None = None

    def complaints(self, sent: int) -> Iterator[str]:
        """What was missed, heard twice or heard out of the log's order, of the numbers below `sent`."""
        if self.ended:
            yield f"{self.name} ended: {self.ended}"
            return
        if sorted(self.numbers) != list(range(sent)):
            missing = sorted(set(range(sent)) - set(self.numbers))
            yield f"{self.name} heard {len(self.numbers)} of {sent} events; missing {missing[:5]}"
        for (epoch, offset), (next_epoch, next_offset) in pairwise(self.positions):
            if epoch != next_epoch or next_offset <= offset:
                yield f"{self.name} heard {next_epoch}:{next_offset} after {epoch}:{offset}"


def complaints(heard: Sequence[Heard], sent: int) -> list[str]:
    """What connections did not hear, heard twice, or heard in another order than the log's.

    That order is the same for all. It is not that of the calls: each process publishes what its own calls have
    committed, so what two processes have committed one after the other may come the other way round.
    """
    found = [complaint for one in heard for complaint in one.complaints(sent)]
    listening = [one for one in heard if not one.ended]
    orders = Counter(tuple(zip(one.positions, one.numbers, strict=True)) for one in listening)
    if len(orders) > 1:
        found.append(f"{len(listening)} connections heard the events in {len(orders)} different orders")
    return found


class Listeners:
    """Many connections of one person."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._tasks: list[asyncio.Task[None]] = []
        self.heard: list[Heard] = []

    async def open(self, sockets: int, streams: int) -> None:
        """Open them all; returns when each is connected."""
        ready = []
        for number in range(sockets + streams):
            is_socket = number < sockets
            heard = Heard(f"{'WebSocket' if is_socket else 'event stream'} {number}")
            self.heard.append(heard)
            connected = asyncio.get_running_loop().create_future()
            listen = self._socket if is_socket else self._stream
            self._tasks.append(asyncio.create_task(listen(heard, connected)))
            ready.append(connected)
            if number % 10 == 9:
                await asyncio.gather(*ready)
        await asyncio.gather(*ready)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_heard(self, sent: int, seconds: float = 20.0) -> None:
        """Give what was sent last the time to arrive."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(len(one.numbers) < sent for one in self.heard if not one.ended):  # noqa: ASYNC110 - of many
                    await asyncio.sleep(0.1)

    async def _socket(self, heard: Heard, connected: "asyncio.Future[None]") -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with connect(f"ws://127.0.0.1:{self._port}/ws", additional_headers=headers) as socket:
                async for text in socket:
                    _take(json.loads(text), heard, connected)
                heard.ended = "closed by the server"
        except (OSError, ConnectionClosed) as error:
            heard.ended = repr(error)

    async def _stream(self, heard: Heard, connected: "asyncio.Future[None]") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = "GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Authorization: Bearer {self._token}\r\n\r\n".encode())
        try:
            while line := await reader.readline():
                if line.startswith(b"data:"):
                    _take(json.loads(line[5:]), heard, connected)
            heard.ended = "ended by the server"
        except OSError as error:
            heard.ended = repr(error)
        finally:
            writer.close()


def _take(message: dict[str, Any], heard: Heard, connected: "asyncio.Future[None]") -> None:
    if message.get("type") == "connected":
        if not connected.done():
            connected.set_result(None)
        return
    number = message.get("data", {}).get("data", {}).get("number") if isinstance(message.get("data"), dict) else None
    if number is not None:
        epoch, _, offset = message["id"].partition(":")
        heard.numbers.append(number)
        heard.positions.append((epoch, int(offset)))
