"""Applications composed from a config file, with the routes of `edge_sample`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from powerstrip.testing import ClientFactory

Compose = Callable[..., Any]
Start = Callable[..., TestClient]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The plugin with the routes, by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return {"edge_sample": import_module("edge_sample").EdgeSample}


@pytest.fixture
def compose(powerstrip_client: ClientFactory, sample: dict[str, Any]) -> Compose:
    """Makes an application: `compose({"hosts": ["a.example"]})` with these settings of edge."""

    def do(settings: dict[str, Any] | None = None, **sections: Any) -> Any:
        plugins = {"edge": settings or {}, "tracing": {"access_log": False}, "edge_sample": True}
        return powerstrip_client(plugins, extra=sample, **sections).app

    return do


@pytest.fixture
def start(compose: Compose) -> Iterator[Start]:
    """The same, running, behind a client: `start({"hosts": ["a.example"]})`."""
    with ExitStack() as stack:

        def do(settings: dict[str, Any] | None = None, **options: Any) -> TestClient:
            return stack.enter_context(TestClient(compose(settings), **options))

        yield do


class Answer:
    """What an application sent for one request."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]
        self.pieces = [message.get("body", b"") for message in messages[1:]]


@pytest.fixture
def call() -> Callable[..., Any]:
    """Calls an application with headers and body pieces as they are, which clients would tidy up."""

    async def do(
        app: Any,
        path: str,
        *,
        method: str = "GET",
        headers: list[tuple[bytes, bytes]] | None = None,
        pieces: Iterator[bytes] | None = None,
        http_version: str = "1.1",
    ) -> Answer:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": http_version,
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"testserver")] if headers is None else headers,
            "client": ("192.0.2.1", 1234),
            "server": ("testserver", 80),
            "state": {},
        }
        rest, is_read = pieces or iter(()), False
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            nonlocal is_read
            if is_read:
                await anyio.sleep_forever()  # the client stays
            piece = next(rest, None)
            is_read = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": not is_read}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return Answer(sent)

    return do
