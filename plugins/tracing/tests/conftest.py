"""Applications with the routes of `tracing_sample`."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from powerstrip.testing import ClientFactory

Headers = list[tuple[bytes, bytes]]
Start = Callable[..., TestClient]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def start(powerstrip_client: ClientFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A client of a running application: `start({"access_log": False})` with these settings of tracing."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    sample = {"tracing_sample": import_module("tracing_sample").TracingSample}
    with ExitStack() as stack:

        def do(settings: dict[str, Any] | None = None, **options: Any) -> TestClient:
            plugins = {"tracing": settings or {}, "tracing_sample": True, **options.pop("plugins", {})}
            client = powerstrip_client(plugins, extra=sample, **options)
            return stack.enter_context(TestClient(client.app, raise_server_exceptions=False, headers=client.headers))

        yield do


@pytest.fixture
def access_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """What the access log says so far: the fields of each line."""
    caplog.set_level(logging.INFO, "powerstrip_tracing.access")
    standard = {*vars(logging.makeLogRecord({})), "message"}

    def lines() -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == "powerstrip_tracing.access"]
        return [{name: value for name, value in vars(record).items() if name not in standard} for record in records]

    return lines


@pytest.fixture
def call() -> Callable[..., Any]:
    """Calls an application with headers as they are; a client that `leaves` does so after the first piece."""

    async def do(
        app: Any, path: str, headers: list[tuple[bytes, bytes]], *, leaves: bool = False
    ) -> list[dict[str, Any]]:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"testserver"), *headers],
            "client": ("192.0.2.1", 1234),
        }
        sent: list[dict[str, Any]] = []
        left = anyio.Event()

        async def receive() -> dict[str, Any]:
            await (left.wait() if leaves else anyio.sleep_forever())
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if leaves and message.get("body"):
                left.set()
                await anyio.sleep_forever()

        await app(scope, receive, send)
        return sent

    return do
