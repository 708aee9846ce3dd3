"""Plugins that are served and reloaded in the test's own event loop, without a server, and calls that it drives."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import Message, Scope

from powerstrip.contract.clock import Clock
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.generation import Generation
from powerstrip.host.planning import PluginChange
from powerstrip.host.supervisor import Supervisor
from powerstrip.testing.config import ConfigBuilder
from powerstrip.testing.installed import PluginClasses, discovery_with

_ANSWER_LIMIT = 30.0


class DrivenCall:
    """A request or a WebSocket in a task of its own; `sent` is what the application has sent so far."""

    def __init__(self, dispatcher: Dispatcher, scope: Scope) -> None:
        self.sent: list[Message] = []
        self._news = asyncio.Event()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        is_websocket = scope["type"] == "websocket"
        self._inbox.put_nowait({"type": "websocket.connect"} if is_websocket else {"type": "http.request", "body": b""})
        self.task = asyncio.create_task(dispatcher(scope, self._inbox.get, self._send), name=f"call {scope['path']}")

    @property
    def status(self) -> int | None:
        """The status of the answer, or None before it has one."""
        heads = [message for message in self.sent if message["type"].endswith("response.start")]
        return heads[0]["status"] if heads else None

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def texts(self) -> list[str]:
        """What a WebSocket has sent as text."""
        return [message["text"] for message in self.sent if message.get("text") is not None]

    def put(self, text: str) -> None:
        """Send text into a WebSocket."""
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        """Be a client that is gone."""
        is_websocket = any(message["type"].startswith("websocket") for message in self.sent)
        self._inbox.put_nowait(
            {"type": "websocket.disconnect", "code": 1001} if is_websocket else {"type": "http.disconnect"}
        )

    async def until(self, kind: str) -> Message:
        """The first message of that type, sooner or later."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            while not (found := [message for message in self.sent if message["type"] == kind]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def answer(self) -> tuple[int | None, bytes]:
        """Status and body, once it has ended."""
        async with asyncio.timeout(_ANSWER_LIMIT):
            await self.task
        return self.status, self.body

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._news.set()


class Reloading:
    """Served plugins, and the config they are served under: write it, then reload."""

    def __init__(self, write: ConfigBuilder, plugins: Mapping[str, Any], extra: PluginClasses, **options: Any) -> None:
        clock = options.pop("clock", None)
        self._write = write
        self._sections = options
        self.path: Path = write(plugins, **options)
        self.installed = dict(extra)
        self.changes: Sequence[PluginChange] = ()
        """What the last reload did with each plugin, and why."""
        self.supervisor = Supervisor(
            [self.path], environ={}, discover=lambda: discovery_with(self.installed), clock=clock
        )
        self.dispatcher = Dispatcher(self.supervisor, lambda _error: None)

    @property
    def generation(self) -> Generation:
        """The generation that serves."""
        if self.supervisor.current is None:
            raise LookupError("nothing is served")
        return self.supervisor.current

    def plugin(self, name: str) -> Any:
        """The plugin object that serves."""
        return next(member.plugin for member in self.generation.composition.members if member.name == name)

    def write(self, plugins: Mapping[str, Any], **sections: Any) -> None:
        """Put other plugins into the config; sections of the core stay as they were at first unless given."""
        self._write(plugins, **{**self._sections, **sections}).replace(self.path)

    async def reload(self, plugins: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Reload, after a change of the config when plugins are given. Returns what becomes of each: `kept`,
        `reconfigured`, `restarted`, `added` or `removed`. Raises as the step that failed does."""
        if plugins is not None:
            self.write(plugins)
        prepared = await self.supervisor.prepare()
        self.supervisor.swap(prepared)
        self.changes = prepared.plan.changes if prepared.plan else ()
        return {change.plugin: change.kind for change in self.changes}

    async def retired(self) -> None:
        """Returns when all that no generation needs any more has stopped."""
        await self.supervisor.retired()

    def get(self, path: str, **headers: str) -> DrivenCall:
        """Begin a GET request."""
        return DrivenCall(self.dispatcher, {**_scope("http", path, headers), "method": "GET"})

    def connect(self, path: str, **headers: str) -> DrivenCall:
        """Begin a WebSocket."""
        return DrivenCall(self.dispatcher, {**_scope("websocket", path, headers), "subprotocols": []})

    async def status(self, path: str) -> int | None:
        """The status that GET is answered with."""
        status, _ = await self.get(path).answer()
        return status


class ReloadingFactory:
    """Serves plugins that a test reloads: `async with powerstrip_reloading({"greeter": True}) as served:`, then
    `await served.reload({"greeter": {"language": "fr"}})`."""

    def __init__(self, config: ConfigBuilder) -> None:
        self._config = config

    @asynccontextmanager
    async def __call__(
        self,
        plugins: Mapping[str, Any],
        *,
        extra: PluginClasses | None = None,
        clock: Clock | None = None,
        **sections: Any,
    ) -> AsyncGenerator[Reloading]:
        """Serve until the context is left. It takes what `powerstrip_client` takes, without `identity`."""
        served = Reloading(self._config, plugins, extra or {}, clock=clock, **sections)
        await served.supervisor.reload()
        try:
            yield served
        finally:
            await served.supervisor.close()


def _scope(kind: str, path: str, headers: Mapping[str, str]) -> Scope:
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            *((name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
