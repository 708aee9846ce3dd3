"""What lasts longer than a request's head: leases, and the messages of WebSockets."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerstrip_ratelimit.interceptors import RateLimits
from powerstrip_ratelimit.service import STATE, Admission


class LeaseMiddleware:
    """Ends a request's leases when its response has ended, however it did."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            admission: Admission | None = scope.get("state", {}).get(STATE)
            if admission is not None and admission.leases and self._limits.limiter is not None:
                self._limits.limiter.end_leases(admission)


class MessageMiddleware:
    """Counts what clients send over WebSockets; one message too many closes the WebSocket (1008)."""

    def __init__(self, app: ASGIApp, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._limits.limiter is not None:
                await self._limits.limiter.admit_message(scope, scope.get("powerstrip.route"))
            return message

        await self._app(scope, counted, send)
