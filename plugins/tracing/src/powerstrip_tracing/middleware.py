"""Sees whole requests: the access log."""

import logging
import re
from collections.abc import Iterable
from fnmatch import translate
from time import perf_counter
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("powerstrip_tracing.access")

# What may stand in a path as it is (RFC 3986, 3.3); all else is percent-encoded, so that no control
# character of a request reaches a terminal or a log file.
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"


class AccessLog:
    """Logs one line per request when its last byte is out, and one per WebSocket when it is closed."""

    def __init__(self, app: ASGIApp, *, exclude: Iterable[str], query: bool) -> None:
        self._app = app
        self._query = query
        patterns = [translate(pattern) for pattern in exclude]
        self._is_excluded = re.compile("|".join(patterns) or r"(?!)").match

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._is_excluded(scope["path"]) or not logger.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        call = _Call(scope, receive, send, query=self._query)
        try:
            await self._app(scope, call.receive, call.send)
        except BaseException:
            call.end("failed")
            raise
        # A response that was begun and not ended: the client left, and nobody is at fault.
        call.end("aborted" if scope["type"] == "http" else "completed")


class _Call:
    """What is known of one request so far."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, query: bool) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._query = query
        self._started = scope["state"].get("started") or perf_counter()
        self._first_byte: float | None = None
        self._status = 0
        self._bytes_out = 0
        self._close_code: int | None = None
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._close_code = message.get("code")
        return message

    async def send(self, message: Message) -> None:
        await self._send(message)
        self._note(message)

    def _note(self, message: Message) -> None:
        kind = message["type"]
        if kind.endswith("http.response.body"):
            self._count(len(message.get("body", b"")))
            if not message.get("more_body", False):
                self.end("completed")
        elif kind.endswith("http.response.start"):
            self._status = message["status"]
        elif kind == "http.response.pathsend":
            self.end("completed")
        elif kind == "websocket.send":
            self._count(len(message.get("bytes") or (message.get("text") or "").encode()))
        elif kind == "websocket.accept":
            self._status = 101
        elif kind == "websocket.close":
            # Closing before accepting is answered 403 by the server (ASGI, WebSocket close).
            self._status = self._status or 403
            self._close_code = message.get("code", 1000)

    def _count(self, size: int) -> None:
        if self._first_byte is None:
            self._first_byte = perf_counter()
        self._bytes_out += size

    def end(self, outcome: str) -> None:
        """Log the line, once."""
        if not self._ended:
            self._ended = True
            logger.info("request", extra=self._fields(outcome))

    def _fields(self, outcome: str) -> dict[str, Any]:
        scope, state = self._scope, self._scope["state"]
        identity = state.get("identity")
        fields = {
            "method": scope.get("method", "WEBSOCKET"),
            "route": getattr(scope.get("route"), "path", None),
            "path": quote(scope["path"], safe=_PATH_CHARACTERS),
            "status": self._status or None,
            "outcome": outcome,
            "duration_ms": _milliseconds(self._started, perf_counter()),
            "ttfb_ms": _milliseconds(self._started, self._first_byte),
            "bytes_out": self._bytes_out,
            "request_id": state.get("request_id"),
            "trace_id": state.get("trace_id"),
            "identity": identity.id if identity is not None else None,
            "client": scope["client"][0] if scope.get("client") else None,
            "http_version": scope.get("http_version"),
        }
        if self._close_code is not None:
            fields["close_code"] = self._close_code
        if self._query:
            fields["query"] = scope.get("query_string", b"").decode("latin-1")
        return fields


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 3)
