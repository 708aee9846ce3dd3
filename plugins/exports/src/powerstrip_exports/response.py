"""The answer that a file is streamed with."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from powerstrip_exports.errors import StreamTimeoutError

Outcome = Literal["complete", "aborted", "failed"]
OnEnd = Callable[[Outcome], Awaitable[None]]


class FileStream(Response):
    """Sends chunks as fast as the client takes them, and no faster: nothing is made in advance but one piece.

    When the client leaves, the source is closed at once. When the source fails, the exception goes on to the server,
    which breaks the connection: no client can take the part for the whole.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        media_type: str,
        timeout: float,
        on_end: OnEnd,
        status: int = 200,
    ) -> None:
        """`timeout` is in seconds; `on_end` is awaited once, however it ends. Without a length in `headers`, a body
        is only whole when it is properly ended."""
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers({**headers, "Content-Type": media_type})
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._timeout = timeout
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette's signature
        outcome: Outcome = "failed"
        sending = asyncio.create_task(self._send_in_time(send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                await sending
                outcome = "complete"
            else:
                outcome = "aborted"
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._rest.aclose()
            await self._on_end(outcome)

    async def _send_in_time(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(send)
        except TimeoutError:
            raise StreamTimeoutError(f"an export took longer than {self._timeout:g} s") from None

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.body", "body": self._first, "more_body": True})
        async for chunk in self._rest:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
