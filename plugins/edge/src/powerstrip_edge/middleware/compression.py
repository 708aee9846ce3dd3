"""Sends bodies compressed to clients that ask for it."""

from collections.abc import Awaitable
from functools import lru_cache, partial

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerstrip import ResponseHeaders
from powerstrip_edge.domain.compressible import Compressible
from powerstrip_edge.domain.encodings import Encoder, Encoding, negotiate, new_encoder

# From here on compressing takes longer than handing it to a thread and back.
_THREAD_SIZE = 64 * 1024
# Threads that compress at once; more than cores only take memory.
_MOST_THREADS = 4
# No honest client sends a longer Accept-Encoding; what is longer would fill the memory of answers below.
_LONGEST_ACCEPTED = 200
_REMEMBERED = 256


class Compression:
    """Compresses what is worth it, in the encoding that suits client and server best.

    A whole body keeps a length; a stream is flushed piece by piece, so that nothing waits for more.
    """

    def __init__(self, app: ASGIApp, *, encodings: tuple[Encoding, ...], worth: Compressible) -> None:
        self._app = app
        self._worth = worth
        self._negotiate = lru_cache(_REMEMBERED)(partial(negotiate, offered=encodings))
        self._threads = CapacityLimiter(_MOST_THREADS)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        encoding = None
        if scope["method"] != "HEAD":
            for name, value in scope["headers"]:
                if name == b"accept-encoding":
                    encoding = self._negotiate(value) if len(value) <= _LONGEST_ACCEPTED else None
                    break
        if encoding is None:
            return self._app(scope, receive, partial(self._send_plain, send))
        return self._app(scope, receive, _CompressedResponse(send, encoding, self._worth, self._threads))

    def _send_plain(self, send: Send, message: Message) -> Awaitable[None]:
        # Caches have to know that other clients get it compressed (RFC 9110, 12.5.5).
        if message["type"] == "http.response.start" and self._worth.allows(message):
            message = {**message, "headers": list(message.get("headers", ()))}
            ResponseHeaders(message["headers"]).add_vary("Accept-Encoding")
        return send(message)


class _CompressedResponse:
    """The `send` of one request. The head waits for the first piece of the body, which decides."""

    def __init__(self, send: Send, encoding: Encoding, worth: Compressible, threads: CapacityLimiter) -> None:
        self._send = send
        self._encoding = encoding
        self._worth = worth
        self._threads = threads
        self._head: Message | None = None
        self._encoder: Encoder | None = None

    # No coroutine of its own where nothing is compressed.
    def __call__(self, message: Message) -> Awaitable[None]:
        if self._head or self._encoder or (message["type"] == "http.response.start" and self._worth.allows(message)):
            return self._compress(message)
        return self._send(message)

    async def _compress(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._head = message
            return
        if kind == "http.response.body":
            message = await self._compressed(message)
        if self._head is not None:
            head, self._head = self._head, None
            await self._send(head)
        await self._send(message)

    async def _compressed(self, message: Message) -> Message:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._head is not None and not more and len(body) < self._worth.minimum_size:
            return message
        encoder = self._encoder = self._encoder or new_encoder(self._encoding)
        if len(body) < _THREAD_SIZE:
            body = _encode(encoder, body, more)
        else:
            body = await to_thread.run_sync(_encode, encoder, body, more, limiter=self._threads)
        if self._head is not None:
            self._head = _head_of_compressed(self._head, self._encoding, length=None if more else len(body))
        return {**message, "body": body}


def _encode(encoder: Encoder, body: bytes, more: bool) -> bytes:
    encoded = encoder.compress(body) if body else b""
    return encoded + (encoder.flush() if more else encoder.finish())


def _head_of_compressed(head: Message, encoding: Encoding, *, length: int | None) -> Message:
    # Ranges would count bytes of the plain body.
    raw = [pair for pair in head["headers"] if pair[0] not in (b"content-length", b"accept-ranges")]
    headers = ResponseHeaders(raw)
    headers.set_raw(b"content-encoding", encoding.encode("ascii"))
    headers.add_vary("Accept-Encoding")
    if length is not None:
        headers.set_raw(b"content-length", b"%d" % length)
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        # The bytes are others, the meaning is the same (RFC 9110, 8.8.1).
        headers["etag"] = f"W/{etag}"
    return {**head, "headers": raw}
