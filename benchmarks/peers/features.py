"""What an API that browsers use needs beside its routes: the settings all variants share, and a check that they obey.

For the peers the parts that neither Starlette nor Litestar brings are written here as pure ASGI classes, as
lean as we know how to.
"""

import secrets
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.asgi_client import ORIGIN, call, request_scope
from benchmarks.peers.shop import PREFIX

MAX_BODY_SIZE = 1_000_000
MINIMUM_COMPRESSED = 1000
SECRET_KEY = "a benchmark keeps no secrets, but it must be long enough"
EXPOSED_HEADERS = ("X-Request-ID", "X-Process-Time")
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class RequestId:
    """Takes over or makes a request id, and tells it with the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        if request_id is None or not (len(request_id) <= 128 and request_id.isalnum()):
            request_id = secrets.token_hex(16).encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)


class Timing:
    """Tells the time taken with the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()

        async def send_with_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                taken = b"%.6f" % (perf_counter() - started)
                message["headers"] = [*message["headers"], (b"x-process-time", taken)]
            await send(message)

        await self.app(scope, receive, send_with_time)


class SecurityHeaders:
    """Adds constant headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses a body that says it is too large, and stops one that turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = None
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"content-length":
                    length = int(value)
                elif name == b"transfer-encoding":
                    receive = self._counting(receive)
        if length is not None and length > MAX_BODY_SIZE:
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        await self.app(scope, receive, send)

    def _counting(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_SIZE:
                raise ValueError("the body is too large")
            return message

        return counted


async def check_features(name: str, app: Any) -> None:
    """Raise AssertionError unless the application does everything that the others do."""
    plain = await call(app, request_scope("GET", f"{PREFIX}/featured"))
    assert plain.status == 200, f"{name}: {plain}"
    assert plain.header("x-request-id"), f"{name} sends no request id"
    assert float(plain.header("x-process-time") or "nan") > 0, f"{name} sends no time"
    assert plain.header("access-control-allow-origin") == ORIGIN, f"{name} does not let the origin in"
    assert plain.header("access-control-allow-credentials") == "true", f"{name} does not allow credentials"
    for exposed in EXPOSED_HEADERS:
        assert exposed.lower() in (plain.header("access-control-expose-headers") or "").lower(), f"{name}: {exposed}"
    assert "origin" in (plain.header("vary") or "").lower(), f"{name} does not vary by origin"
    for header, value in SECURITY_HEADERS:
        assert plain.header(header.decode()) == value.decode(), f"{name} sends another {header.decode()}"
    await _check_requests(name, app)
    await _check_bodies(name, app)


async def _check_requests(name: str, app: Any) -> None:
    given = await call(app, request_scope("GET", f"{PREFIX}/featured", {"X-Request-ID": "abc123"}))
    assert given.header("x-request-id") == "abc123", f"{name} does not take over a request id"
    foreign = await call(app, request_scope("GET", f"{PREFIX}/featured", {"Origin": "https://evil.example"}))
    assert foreign.header("access-control-allow-origin") is None, f"{name} lets any origin in"
    wrong_host = await call(app, request_scope("GET", f"{PREFIX}/featured", {"Host": "evil.example"}))
    assert wrong_host.status == 400, f"{name} answers for any host"
    asked = {"Access-Control-Request-Method": "GET"}
    preflight = await call(app, request_scope("OPTIONS", f"{PREFIX}/featured", asked))
    assert preflight.status in (200, 204), f"{name} does not answer a preflight"
    assert "GET" in (preflight.header("access-control-allow-methods") or ""), f"{name} allows no method"


async def _check_bodies(name: str, app: Any) -> None:
    many = await call(app, request_scope("GET", f"{PREFIX}/items"))
    assert many.header("content-encoding") == "gzip", f"{name} does not compress"
    size = {"Content-Type": "application/json", "Content-Length": str(MAX_BODY_SIZE + 1)}
    too_large = await call(app, request_scope("POST", f"{PREFIX}/items", size), b"0" * (MAX_BODY_SIZE + 1))
    assert too_large.status == 413, f"{name} takes any body"
    visit = await call(app, request_scope("POST", f"{PREFIX}/visits"))
    cookie = (visit.header("set-cookie") or "").partition(";")[0]
    again = await call(app, request_scope("POST", f"{PREFIX}/visits", {"Cookie": cookie}))
    assert (visit.body, again.body) == (b"1", b"2"), f"{name} keeps no session"
    assert plain_item(await call(app, request_scope("GET", f"{PREFIX}/items/7"))), f"{name} answers something else"


def plain_item(answer: Any) -> bool:
    """Whether the answer is item 7, not compressed."""
    expected = b'{"id":7,"name":"Power strip","description":"Six sockets","price":19.5,"tags":["home","electric"]}'
    return bool(answer.body == expected and answer.header("content-encoding") is None)
