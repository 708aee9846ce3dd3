"""Stops bodies that turn out too large while they are read."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerstrip import PayloadTooLarge
from powerstrip_edge.domain.body_size import too_large


class BodyLimit:
    """Counts what is read of a request body where `body_limit` stands in the state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan" or "body_limit" not in scope["state"]:
            return self._app(scope, receive, send)
        return _CountedBody(scope, receive, send).serve(self._app)


class _CountedBody:
    """One request whose body is counted.

    Whatever the application makes of the exception that ends its reading (FastAPI makes a 400 of
    it), the client is told what was wrong: its answer is dropped, and the problem raised instead.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit: int = scope["state"]["body_limit"]
        self._size = 0
        self._is_answered = False
        self._problem: PayloadTooLarge | None = None

    async def serve(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self._read, self._answer)
        except Exception:
            if self._problem is None or self._is_answered:
                raise
        if self._problem is not None and not self._is_answered:
            raise self._problem

    async def _read(self) -> Message:
        if self._problem is not None:
            raise self._problem
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._limit:
                self._problem = too_large(self._scope, self._limit)
                raise self._problem
        return message

    async def _answer(self, message: Message) -> None:
        if self._problem is not None and not self._is_answered:
            return
        self._is_answered = True
        await self._send(message)
