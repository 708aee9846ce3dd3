"""A plugin with routes to try edge on."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response, WebSocket
from starlette.responses import StreamingResponse

from powerstrip import Plugin, PluginSettings, Routes, hookimpl, public

router = APIRouter(dependencies=[Depends(public)])


class EdgeSample(Plugin[PluginSettings]):
    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router, version=None)]


@router.get("/plain")
async def plain() -> dict[str, bool]:
    return {"ok": True}


@router.get("/where")
async def where(request: Request) -> dict[str, Any]:
    assert request.client is not None
    return {"client": list(request.client), "url": str(request.url)}


@router.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(
        {"url": str(socket.url), "seen": socket.session.get("seen") if "session" in socket.scope else None}
    )
    await socket.close()


@router.post("/size")
async def size(request: Request) -> int:
    return len(await request.body())


@router.post("/json")
async def take_json(body: Annotated[dict[str, Any], Body()]) -> int:
    return len(body)


@router.post("/stubborn")
async def stubborn(request: Request) -> str:
    try:
        await request.body()
    except Exception:  # noqa: BLE001 - that is the point
        return "all is well"
    return "read"


@router.post("/half")
async def half(request: Request) -> Response:
    async def answer() -> AsyncIterator[bytes]:
        yield b"begun"
        yield str(len(await request.body())).encode()

    return StreamingResponse(answer(), media_type="image/png")


@router.post("/avatars/new")
async def avatar(request: Request) -> int:
    return len(await request.body())


@router.get("/answer")
async def answer(request: Request) -> Response:
    """Answers with what the query says: `size`, `status`, and any other name as a header."""
    query: Mapping[str, str] = dict(request.query_params)
    headers = {name: value for name, value in query.items() if name not in ("size", "status", "type")}
    content = ("abcdefgh" * int(query.get("size", 4000)))[: int(query.get("size", 4000))]
    return Response(content, int(query.get("status", 200)), headers, query.get("type", "text/plain"))


@router.get("/stream")
async def stream() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"piece {number} {'.' * 2000}\n".encode()

    return StreamingResponse(pieces(), media_type="application/x-ndjson")


@router.get("/failing")
async def failing(after: int = 0) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(after):
            yield b"piece"
        raise ValueError("failed half way")

    return StreamingResponse(pieces(), media_type="text/plain")


@router.get("/events")
async def events() -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"data: {number} {'.' * 2000}\n\n".encode()

    return StreamingResponse(pieces(), media_type="text/event-stream")


@router.get("/session/show")
async def show(request: Request) -> dict[str, Any]:
    return dict(request.session)


@router.post("/session/update")
async def update(request: Request, values: Annotated[dict[str, Any], Body()]) -> None:
    request.session.update(values)


@router.post("/session/append")
async def append(request: Request) -> None:
    request.session["list"].append(1)


@router.post("/session/clear")
async def clear(request: Request) -> None:
    request.session.clear()


@router.post("/session/unstorable")
async def unstorable(request: Request) -> None:
    request.session["when"] = datetime.now(UTC)
