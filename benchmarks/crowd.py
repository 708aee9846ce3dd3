"""Many WebSocket clients in one process, as cheap as clients can be: they count messages and look at nothing."""

import argparse
import asyncio
import json
import sys
from time import perf_counter
from typing import Any

_AT_ONCE = 50  # handshakes at a time


class Client(asyncio.Protocol):
    """Counts the text messages it gets."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        self._crowd = crowd
        self._number = number
        self._buffer = b""
        self._in_handshake = True
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._crowd.handshake(self._number))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        if self._in_handshake:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.ready.set_exception(RuntimeError(head.decode(errors="replace")))
                return
            self._in_handshake = False
            for text in self._crowd.first:
                self.transport.write(_frame(text.encode()))
            if not self._crowd.wait_for:
                self._settle()
        self._buffer = data[self._read(data) :]

    def _read(self, data: bytes) -> int:
        """Take whole frames; returns where they end."""
        at = 0
        while len(data) - at >= 2:
            length, start = data[at + 1] & 127, at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            if len(data) < start + length:
                break
            if data[at] & 15 == 1:
                self._message(data, start, length)
            elif data[at] & 15 == 9:
                self.transport.write(_frame(data[start : start + length], opcode=10))
            at = start + length
        return at

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.lost += 1

    def _message(self, data: bytes, start: int, length: int) -> None:
        if not self.ready.done():
            if self._crowd.wait_for in data[start : start + length]:
                self._settle()
            return
        if data[start : start + length] == b"2":  # Engine.IO asks whether anybody is there
            self.transport.write(_frame(b"3"))
        elif length > 60:  # not what other protocols ask and answer
            self._crowd.received += 1
            if self._crowd.received == self._crowd.expected:
                self._crowd.all_there.set()

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)


class Crowd:
    """All clients, and what they have got."""

    def __init__(self, options: Any) -> None:
        self._path = options.path
        self._identified = options.identified
        self.first = options.first
        self.wait_for = options.wait_for.encode()
        self.received = 0
        self.expected = -1
        self.lost = 0
        self.all_there = asyncio.Event()

    def handshake(self, number: int) -> bytes:
        facts = {"id": f"u{number}", "name": "", "roles": [], "permissions": [], "session_id": None, "claims": {}}
        identity = f"X-Fake-Identity: {json.dumps(facts)}\r\n" if self._identified else ""
        return (
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{identity}\r\n"
        ).encode()


def _frame(payload: bytes, opcode: int = 1) -> bytes:
    # Masked with zeros: the payload as it is (RFC 6455, 5.3).
    return bytes((128 | opcode, 128 | len(payload))) + b"\0\0\0\0" + payload


async def _run(options: Any) -> None:
    crowd = Crowd(options)
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for start in range(0, options.clients, _AT_ONCE):
        batch = []
        for number in range(start, min(start + _AT_ONCE, options.clients)):
            _, client = await loop.create_connection(lambda n=number: Client(crowd, n), "127.0.0.1", options.port)
            batch.append(client)
        await asyncio.gather(*(client.ready for client in batch))
        clients += batch
    print("connected", flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        crowd.all_there.clear()
        crowd.received, crowd.expected = 0, int(line) * len(clients)
        started = perf_counter()
        print("counting", flush=True)
        async with asyncio.timeout(options.limit):
            await crowd.all_there.wait()
        print(json.dumps({"seconds": perf_counter() - started, "lost": crowd.lost}), flush=True)


def main() -> None:
    """Connect, say so, then count as many broadcasts as each line of the standard input says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--path", default="/ws")
    parser.add_argument("--first", action="append", default=[], help="a text that each client sends at first")
    parser.add_argument("--wait-for", default="", help="what the message holds after which a client is ready")
    parser.add_argument("--identified", action="store_true")
    parser.add_argument("--limit", type=float, default=120.0)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
