"""A plugin with routes of each kind, to be limited."""

from collections.abc import AsyncIterator, Sequence

import anyio
from fastapi import APIRouter, Depends, WebSocket
from fastapi.responses import StreamingResponse
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from powerstrip import Plugin, PluginSettings, RateLimit, Routes, hookimpl, public

SHARED = RateLimit("3/minute")
CHAT = RateLimit("2/minute", scope="sample:chat")


def things() -> APIRouter:
    router = APIRouter(tags=["things"], dependencies=[Depends(public)])

    @router.get("/things")
    async def list_things() -> list[str]:
        return []

    @router.post("/things")
    async def add_thing() -> str:
        return "added"

    return router


def limited() -> APIRouter:
    router = APIRouter(dependencies=[Depends(public)])

    @router.get("/stated", dependencies=[Depends(RateLimit("2/hour"))])
    async def stated() -> str:
        return "stated"

    @router.get("/shared", dependencies=[Depends(SHARED)])
    async def shared() -> str:
        return "shared"

    @router.delete("/shared", dependencies=[Depends(SHARED)])
    async def shared_too() -> str:
        return "shared"

    @router.get("/costly", dependencies=[Depends(RateLimit("10/hour", cost=4))])
    async def costly() -> str:
        return "costly"

    return router


def others() -> APIRouter:
    router = APIRouter(dependencies=[Depends(public)])

    @router.get("/things/{thing_id}")
    async def read_thing(thing_id: int) -> int:
        return thing_id

    @router.get("/boom")
    async def boom() -> None:
        raise RuntimeError

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "one\n"
            await anyio.sleep_forever()

        return StreamingResponse(lines())

    mounted = PlainTextResponse("mounted", headers={"X-RateLimit-Limit": "its own", "RateLimit": "its own"})
    router.routes.append(Mount("/mounted", mounted, name="mounted"))
    return router


def sockets() -> APIRouter:
    router = APIRouter(dependencies=[Depends(public)])

    @router.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    @router.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await CHAT.count(websocket)
            await websocket.send_text(text)

    @router.websocket("/stated-socket", dependencies=[Depends(RateLimit("1/hour"))])
    async def stated_socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    return router


class RatelimitSample(Plugin[PluginSettings]):
    """Has routes."""

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(things()), Routes(limited()), Routes(others()), Routes(sockets())]
