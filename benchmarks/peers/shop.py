"""The shop that every variant serves: what it sells, and its routes for FastAPI and for Powerstrip."""

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from powerstrip import Plugin, PluginSettings, Routes, hookimpl, public

PREFIX = "/api/v1"


class Item(BaseModel):
    """Something to buy: about 120 bytes of JSON, which nobody compresses."""

    id: int
    name: str
    description: str | None
    price: float
    tags: list[str]


def find_item(item_id: int) -> Item:
    """An item of the shop."""
    return Item(id=item_id, name="Power strip", description="Six sockets", price=19.5, tags=["home", "electric"])


def list_items() -> list[Item]:
    """More JSON than anyone sends uncompressed."""
    return [find_item(number) for number in range(50)]


def shop_router() -> APIRouter:
    """The routes, with nothing of Powerstrip's in them."""
    router = APIRouter()

    @router.get("/featured")
    async def featured() -> Item:
        return find_item(1)

    @router.get("/items/{item_id}")
    async def item(item_id: int) -> Item:
        return find_item(item_id)

    @router.get("/items")
    async def items() -> list[Item]:
        return list_items()

    @router.post("/items", status_code=201)
    async def add_item(item: Item) -> Item:
        return item

    @router.post("/visits")
    async def visit(request: Request) -> int:
        visits: int = request.session.get("visits", 0) + 1
        request.session["visits"] = visits
        return visits

    return router


class Shop(Plugin[PluginSettings]):
    """Sells things."""

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        router = APIRouter(dependencies=[Depends(public)])
        router.include_router(shop_router())
        return [Routes(router)]
