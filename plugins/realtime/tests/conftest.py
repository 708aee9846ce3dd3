"""Running applications, and clients that listen to them."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import uvicorn
import websockets
from pydantic import BaseModel

from powerstrip import Event, EventBus, Identity, Plugin, PluginSettings, create_app, hookimpl
from powerstrip.testing import signed_in
from powerstrip_realtime import Topic

ANN = Identity(id="ann", name="Ann", roles=frozenset({"user"}), session_id="ann-1")
BOB = Identity(id="bob", name="Bob", roles=frozenset({"user"}), session_id="bob-1")
ROOT = Identity(id="root", name="Root", roles=frozenset({"admin"}), permissions=frozenset({"*"}), session_id="root-1")

PATIENCE = 20.0
"""Seconds that something may take on a busy machine before it is taken to have failed."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


class OrderMoved(BaseModel):
    """An order is somewhere else."""

    where: str


class Shop(Plugin[PluginSettings]):
    """Publishes events about orders; each belongs to the user whose name it begins with."""

    wants = ("realtime",)

    @hookimpl(optionalhook=True)
    def register_topics(self):
        return [
            Topic(
                "orders:{order_id}",
                "One order, for whoever ordered.",
                may_subscribe=lambda identity, parameters: parameters["order_id"].startswith(identity.id),
                events={"order.moved": OrderMoved},
            ),
            Topic("room:{name}", "A room.", may_subscribe=lambda _identity, _parameters: True, presence=True),
        ]


class Closed(Exception):
    """The server has ended the connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Client:
    """A WebSocket, or an event stream, as a program uses it."""

    def __init__(self, receive: Callable[[], Awaitable[str]], send: Callable[[str], Awaitable[None]] | None) -> None:
        self._receive = receive
        self._send = send

    async def text(self) -> str:
        """The next message. Raises Closed when there will be no more."""
        async with asyncio.timeout(PATIENCE):
            return await self._receive()

    async def next(self) -> Any:
        return json.loads(await self.text())

    async def until(self, kind: str) -> Any:
        """The next message of a type; those before it are dropped."""
        while True:
            message = await self.next()
            if message["type"] == kind:
                return message

    async def events(self, count: int) -> list[Any]:
        """The data of the next events."""
        return [(await self.next())["data"] for _ in range(count)]

    async def say(self, message: Any) -> None:
        assert self._send is not None
        await self._send(message if isinstance(message, str) else json.dumps(message))

    async def ask(self, **command: Any) -> Any:
        """Send a command; gives its answer."""
        await self.say({"id": 1, **command})
        return await self.until("reply")

    async def closed(self) -> Closed:
        """Wait for the end."""
        try:
            while True:
                await self.text()
        except Closed as end:
            return end

    async def is_silent(self) -> bool:
        """Whether nothing was sent before the answer to a ping."""
        await self.say("ping")
        return await self.text() == "pong"


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


class Api:
    """One running application, behind a real server, and three people who use it."""

    ann, bob, root = ANN, BOB, ROOT

    def __init__(self, app: Any, port: int) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx2.AsyncClient(base_url=self.url)

    @property
    def services(self) -> Any:
        return self.app.state.powerstrip.index.services

    until = staticmethod(until)

    async def publish(self, topic: str, data: Any = None, kind: str = "news") -> None:
        await self.services[EventBus].publish(Event(topic, kind, data))

    @asynccontextmanager
    async def socket(
        self,
        identity: Identity | None = ANN,
        path: str = "/ws",
        *,
        hello: bool = True,
        slow: bool = False,
        **options: Any,
    ) -> AsyncIterator[Client]:
        """A WebSocket; `hello` waits until it is connected, a `slow` one takes in next to nothing unless it is read."""
        if slow:
            options |= {"sock": _small_socket(self.port), "max_queue": 1}
        headers = {**(signed_in(identity) if identity else {}), **options.pop("headers", {})}
        url = f"ws://127.0.0.1:{self.port}{path}"
        async with websockets.connect(
            url, additional_headers=headers, open_timeout=PATIENCE, compression=None, **options
        ) as connection:

            async def receive() -> str:
                try:
                    return await connection.recv()
                except websockets.ConnectionClosed as end:
                    received = end.rcvd
                    raise Closed(received.code if received else 1006, received.reason if received else "") from None

            client = Client(receive, connection.send)
            client.connection = connection
            if hello:
                client.hello = await client.until("connected")
            yield client

    @asynccontextmanager
    async def stream(
        self, identity: Identity | None = ANN, query: str = "", *, hello: bool = True, headers: Any = None
    ) -> AsyncIterator[Client]:
        """An event stream; `hello` waits until it is connected."""
        sent = {**(signed_in(identity) if identity else {}), **(headers or {})}
        url = f"/api/v1/events/stream{query}"
        async with self.http.stream("GET", url, headers=sent, timeout=PATIENCE) as answer:
            lines = answer.aiter_lines()
            client = Client(lambda: _next_event(client, lines), None)
            client.answer, client.fields, client.comments = answer, {}, 0
            if hello:
                client.hello = await client.until("connected")
            yield client


def _small_socket(port: int) -> socket.socket:
    """A connection whose buffers are small: the system's would hold megabytes for a client that reads nothing."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    small.connect(("127.0.0.1", port))
    small.setblocking(False)
    return small


async def _next_event(client: Any, lines: AsyncIterator[str]) -> str:
    fields: dict[str, str] = {}
    async for line in lines:
        if not line and "data" in fields:
            client.fields.update(fields)
            return fields["data"]
        name, _, value = line.partition(": ")
        if line.startswith(":"):
            client.comments += 1
        elif name:
            fields[name] = value
            client.fields[name] = value
    raise Closed(0, "")


@pytest.fixture
def start(powerstrip_config):
    """Starts applications: `async with start(queue={"messages": 10}) as api: ...`"""

    @asynccontextmanager
    async def running(
        *, plugins: Any = None, app: Any = None, clock: Any = None, extra: Any = None, **settings: Any
    ) -> AsyncIterator[Api]:
        from powerstrip.testing.installed import discovery_with  # noqa: PLC0415 - imports the host

        sections = {"fake_identity": True, "shop": True, **(plugins or {}), "realtime": settings}
        path = powerstrip_config(sections, app=app or {})
        discovery = discovery_with({"shop": Shop, **(extra or {})})
        application = create_app(path, environ={}, discovery=discovery, clock=clock)
        async with serving(application) as port:
            api = Api(application, port)
            async with api.http:
                yield api

    return running


@pytest.fixture
def start_two(start, redis_url):
    """Two applications that share Valkey, as two workers do."""

    @asynccontextmanager
    async def running(**settings):
        redis = {"url": redis_url, "timeout": 5, "connect_timeout": 5}
        async with (
            start(plugins={"redis": redis}, **settings) as one,
            start(plugins={"redis": redis}, **settings) as other,
        ):
            yield one, other

    return running


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[int]:
    """Serve in this event loop, on a free port."""
    config = uvicorn.Config(
        application,
        port=0,
        lifespan="on",
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
        ws_max_size=1_048_576,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    assert server.started
    ticking = asyncio.create_task(server.main_loop())
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()


@pytest.fixture
async def api(start) -> AsyncIterator[Api]:
    """An application with default settings."""
    async with start() as running:
        yield running
