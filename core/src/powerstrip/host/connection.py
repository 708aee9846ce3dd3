"""serve: what a stranger may do with a connection before a request is whole.

uvicorn's fast parser bounds neither the size of a request's head nor the time it takes to arrive;
both are how a few slow clients keep a server busy (slowloris, R.U.D.Y.).
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
_MIN_BODY_RATE = 500  # bytes a second, the default of Apache's mod_reqtimeout


class ServerConfig(uvicorn.Config):
    """uvicorn's config, with the limits of a request's head."""

    def __init__(self, app: Any, *, header_timeout: float, max_header_size: int, **options: Any) -> None:
        self.header_timeout = header_timeout
        self.max_header_size = max_header_size
        super().__init__(app, http=BoundedHttpProtocol, **options)


class BoundedHttpProtocol(HttpToolsProtocol):
    """A connection that must deliver a request's head in time and size, and its body at a minimum rate.

    `header_timeout` is the time for a head, and the time over which a body's rate is taken.
    """

    config: ServerConfig

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._in_body = False
        self._head_size = 0
        self._chunk_size = 0
        self._body_size = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(self.config.header_timeout, self._head_overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._chunk_size = len(data)
        if self._in_body:
            self._body_size += self._chunk_size
        elif self._in_head:
            self._head_size += self._chunk_size
        super().data_received(data)
        if self._in_head and self._head_size > self.config.max_header_size and not self.transport.is_closing():
            self._refuse(_TOO_LARGE)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._disarm()
        elif self._in_head and self._deadline is None:
            self._arm(self.config.header_timeout, self._head_overdue)
        elif self._in_body and self._deadline is None:
            self._arm(self.config.header_timeout, self._look_at_body)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_size = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        # What has come in may hold more than the head: it is only added up when it could be too large.
        if self._head_size + self._chunk_size > self.config.max_header_size:
            self._head_size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if self._head_size > self.config.max_header_size:
                raise ValueError("the request's head is too large")  # the parser turns it into send_400_response
        self._in_head = False
        self._in_body = True
        self._body_size = 0
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn calls it with what its parser says
        is_too_large = self._head_size > self.config.max_header_size
        self._refuse(_TOO_LARGE if is_too_large else HTTPStatus.BAD_REQUEST)

    def _head_overdue(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _look_at_body(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or not self._in_body:
            return
        if self._body_size < _MIN_BODY_RATE * self.config.header_timeout and not self.flow.read_paused:
            self.transport.close()
            return
        self._body_size = 0
        self._arm(self.config.header_timeout, self._look_at_body)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer without the application, in the shape of every other error, and hang up."""
        self.transport.write(_answer(status))
        self.transport.close()

    def _arm(self, seconds: float, callback: Any) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, callback)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _answer(status: HTTPStatus) -> bytes:
    error = {
        "type": "".join(word.title() for word in status.phrase.split()),
        "message": f"{status.description or status.phrase}.",
        "status_code": status.value,
    }
    body = json.dumps({"error": error}, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
