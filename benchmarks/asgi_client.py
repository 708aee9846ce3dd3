"""Calls an ASGI application in this process, with what a server would hand it for a browser's request."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

HOST = "api.example.com"
ORIGIN = "https://app.example.com"

# What Chromium sends with a fetch() to another origin, in its order.
BROWSER_HEADERS = (
    (b"host", HOST.encode()),
    (b"connection", b"keep-alive"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
    ),
    (b"accept", b"application/json"),
    (b"origin", ORIGIN.encode()),
    (b"sec-fetch-site", b"same-site"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-dest", b"empty"),
    (b"referer", ORIGIN.encode() + b"/"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"en-GB,en;q=0.9"),
)

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The values of all headers of that name, as one."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


def request_scope(method: str, path: str, headers: Headers | None = None) -> dict[str, Any]:
    """A browser's request; `headers` replace or add to what it sends."""
    changed = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
    kept = [(name, value) for name, value in BROWSER_HEADERS if name not in changed]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("192.0.2.7", 50000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [*kept, *changed.items()],
        "extensions": {},
    }


async def call(app: Any, scope: Mapping[str, Any], body: bytes = b"") -> Answer:
    """One request and its whole response."""
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app({**scope, "headers": list(scope["headers"]), "state": {}}, receive, send)
    head = messages[0]
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in head["headers"]]
    return Answer(head["status"], headers, b"".join(message.get("body", b"") for message in messages[1:]))


async def microseconds(app: Any, scope: Mapping[str, Any], requests: int, status: int = 200) -> float:
    """The mean time of a request, from calling the application until it returns.

    Raises RuntimeError when the application answers anything but `status`: errors are quick to make.
    Between two requests the event loop turns once, outside the measured time: what an application leaves to
    the loop would escape, so none of the measured ones may leave it anything.
    """

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return None

    answer = await call(app, scope)
    if answer.status != status:
        raise RuntimeError(f"{scope['path']} was answered {answer.status}, not {status}: {answer.body!r}")
    headers = scope["headers"]
    spent = 0.0
    for _ in range(requests):
        fresh = {**scope, "headers": list(headers), "state": {}}
        started = perf_counter()
        await app(fresh, receive, send)
        spent += perf_counter() - started
        await asyncio.sleep(0)
    return spent / requests * 1e6


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[Any]:
    """The application between its start and its stop, by the ASGI lifespan protocol."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lifespan = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put)
    )
    inbox.put_nowait({"type": "lifespan.startup"})
    await _answer_to_lifespan(lifespan, outbox)
    try:
        yield app
    finally:
        inbox.put_nowait({"type": "lifespan.shutdown"})
        await _answer_to_lifespan(lifespan, outbox)
        await lifespan


async def _answer_to_lifespan(lifespan: asyncio.Task[None], outbox: asyncio.Queue[dict[str, Any]]) -> None:
    answer = asyncio.create_task(outbox.get())
    await asyncio.wait({lifespan, answer}, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        lifespan.result()
        raise RuntimeError("the application left its lifespan without an answer")
    if answer.result()["type"].endswith("failed"):
        reason = answer.result().get("message", "").strip().rpartition("\n")[2]
        raise RuntimeError(f"the application did not start: {reason}")
