"""A plugin with routes to trace."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response, WebSocket
from starlette.responses import StreamingResponse

from powerstrip import Plugin, PluginSettings, Routes, hookimpl, public

router = APIRouter(dependencies=[Depends(public)])
logger = logging.getLogger(__name__)


class TracingSample(Plugin[PluginSettings]):
    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router, version=None)]


@router.get("/plain")
async def plain() -> dict[str, bool]:
    return {"ok": True}


@router.get("/state")
async def state(request: Request) -> dict[str, Any]:
    names = ("request_id", "trace_id", "span_id", "traceparent", "tracestate", "arrived")
    return {name: getattr(request.state, name, None) for name in names}


@router.get("/users/{user_id}")
async def user(user_id: str) -> str:
    return user_id


@router.get("/headers")
async def headers(request: Request) -> Response:
    """Answers with the query as headers."""
    return Response(headers=dict(request.query_params))


@router.get("/timed")
async def timed(request: Request) -> bool:
    spans = getattr(request.state, "server_timing", None)
    if spans is not None:
        spans += [("db", 3.14), ("bad;name, really", 1), *((f"s{number}", 0) for number in range(100))]
    return spans is not None


@router.get("/stream")
async def stream() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"0123456789"

    return StreamingResponse(pieces())


@router.get("/half")
async def half() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"0123456789"
        raise ValueError("failed half way")

    return StreamingResponse(pieces())


@router.get("/broken")
async def broken() -> None:
    raise ValueError("this is a bug")


@router.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418)


@router.websocket("/ws/{room}")
async def ws(socket: WebSocket, room: str) -> None:
    await socket.accept(headers=[(b"x-request-id", b"mine"), (b"x-room", room.encode())])
    await socket.send_json({"request_id": socket.state.request_id, "trace_id": socket.state.trace_id})
    await socket.close(4000)


@router.websocket("/closed")
async def closed(socket: WebSocket) -> None:
    await socket.close()
