"""Keeps a server busy from another process, and prints requests per second and latencies as JSON.

Each connection sends its next request when the last is answered. Responses are only taken apart as far as needed
to see where they end: the generator must cost less than what it measures.
"""

import argparse
import asyncio
import json
import os
from statistics import quantiles
from time import perf_counter
from typing import cast

import uvloop

_LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """One kept-alive connection, asking the same thing again and again."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.failure: str | None = None
        self.closed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.failure = head.decode("latin-1")
            self.transport.close()
            return
        at = head.lower().index(_LENGTH) + len(_LENGTH)
        if len(body) >= int(head[at:].partition(b"\r\n")[0]):
            self.latencies.append(perf_counter() - self._sent_at)
            self._received = b""
            self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set_result(None)

    def _ask(self) -> None:
        self._sent_at = perf_counter()
        self.transport.write(self._request)


async def load(port: int, request: bytes, connections: int, warm_up: float, seconds: float) -> dict[str, float]:
    """Ask for `warm_up` seconds, then count for `seconds`."""
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Connection(request), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.sleep(warm_up)
    for client in clients:
        client.latencies.clear()
    started = perf_counter()
    await asyncio.sleep(seconds)
    took = perf_counter() - started
    latencies = [latency for client in clients for latency in client.latencies]
    for client in clients:
        client.transport.close()
        await client.closed
        if client.failure:
            raise RuntimeError(f"the server answered {client.failure}")
    percentiles = quantiles(latencies, n=100, method="inclusive")
    return {"rps": len(latencies) / took, "p50_ms": percentiles[49] * 1000, "p99_ms": percentiles[98] * 1000}


def main() -> None:
    """Run by the section that measures sockets; the request comes in hexadecimal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--request", type=bytes.fromhex, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--core", type=int)
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    work = load(arguments.port, arguments.request, arguments.connections, arguments.warm_up, arguments.seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
