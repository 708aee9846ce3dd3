"""Servers that broadcast to all who are connected, when their standard input says how often."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from powerstrip import Event, EventBus, Plugin, PluginSettings, Services, hookimpl

SIZE = 207
"""Bytes of a message, as in the measurements that led to the design."""

Broadcast = Callable[[int], Awaitable[None]]


async def obey(broadcast: Broadcast) -> None:
    """Broadcast as often as each line of the standard input says."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb"))
    while line := await reader.readline():
        for number in range(int(line)):
            await broadcast(number)


def message(number: int) -> str:
    text = json.dumps({"id": number, "type": "news", "topic": "broadcast", "data": ""})
    return json.dumps({"id": number, "type": "news", "topic": "broadcast", "data": "x" * (SIZE - len(text))})


class Publisher(Plugin[PluginSettings]):
    """Publishes on the bus what the peers send themselves."""

    requires = ("realtime",)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncIterator[None]:
        bus = services[EventBus]

        async def broadcast(_number: int) -> None:
            # The frame around it takes 119 bytes: id, type, topic, time.
            await bus.publish(Event("broadcast", "news", "x" * (SIZE - 119)))

        task = asyncio.create_task(obey(broadcast))
        try:
            yield
        finally:
            task.cancel()


async def serve_raw(port: int) -> None:
    """The library below uvicorn, alone: its `broadcast()` is the floor."""
    import websockets.asyncio.server as ws  # noqa: PLC0415 - only the peer that uses it

    connections: set[Any] = set()

    async def keep(connection: Any) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    async def broadcast(number: int) -> None:
        ws.broadcast(connections, message(number))
        await asyncio.sleep(0)

    async with ws.serve(keep, "127.0.0.1", port, compression=None):
        await obey(broadcast)


def socketio_app() -> Any:
    """python-socketio, with its own way to reach everybody."""
    import socketio  # noqa: PLC0415 - only the peer that uses it

    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
    app = socketio.ASGIApp(server)

    async def broadcast(number: int) -> None:
        await server.emit("news", message(number))

    return _with_commands(app, broadcast)


def idle_app() -> Any:
    """Accepts, and answers nothing: what a connection takes at least under uvicorn."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass

    async def broadcast(_number: int) -> None:
        return

    return _with_commands(app, broadcast)


def _with_commands(app: Any, broadcast: Broadcast) -> Any:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        task = asyncio.create_task(obey(broadcast))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        task.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["raw", "socketio", "idle"])
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.peer == "raw":
        import uvloop  # noqa: PLC0415 - what uvicorn runs the others in

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_raw(arguments.port))
        return
    app = socketio_app() if arguments.peer == "socketio" else idle_app()
    uvicorn.run(
        app,
        port=arguments.port,
        lifespan="on",
        log_level="error",
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )


if __name__ == "__main__":
    sys.exit(main())
