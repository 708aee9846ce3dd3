"""Litestar with its own middleware, and the same pure ASGI classes as FastAPI for what it does not bring."""

from typing import Any

from litestar import Litestar, Request, Router, get, post
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.middleware import DefineMiddleware
from starlette.middleware.sessions import SessionMiddleware

from benchmarks.asgi_client import HOST, ORIGIN
from benchmarks.peers import features
from benchmarks.peers.shop import PREFIX, Item, find_item, list_items


@get("/featured")
async def featured() -> Item:
    return find_item(1)


@get("/items/{item_id:int}")
async def item(item_id: int) -> Item:
    return find_item(item_id)


@get("/items")
async def items() -> list[Item]:
    return list_items()


@post("/items")
async def add_item(data: Item) -> Item:
    return data


@post("/visits")
async def visit(request: Request[Any, Any, Any]) -> int:
    visits: int = request.session.get("visits", 0) + 1
    request.session["visits"] = visits
    return visits


def litestar_peer() -> Litestar:
    """The shop with every feature.

    Litestar's own sessions either live in the server and set a cookie on every response, or need another library
    to be encrypted; Starlette's signed cookie is the feature that the others have, and the cheaper one.
    """
    # Litestar has types of its own for the scope and the messages of ASGI.
    middleware: list[Any] = [features.RequestId, features.Timing, features.SecurityHeaders]
    sessions: Any = SessionMiddleware
    return Litestar(
        [Router(PREFIX, route_handlers=[featured, item, items, add_item, visit])],
        middleware=[*middleware, DefineMiddleware(sessions, secret_key=features.SECRET_KEY)],
        allowed_hosts=AllowedHostsConfig([HOST, "127.0.0.1"]),
        cors_config=CORSConfig(
            allow_origins=[ORIGIN],
            allow_methods=["GET", "POST"],
            allow_credentials=True,
            expose_headers=list(features.EXPOSED_HEADERS),
        ),
        compression_config=CompressionConfig(backend="gzip", minimum_size=features.MINIMUM_COMPRESSED),
        request_max_body_size=features.MAX_BODY_SIZE,
        openapi_config=None,
        logging_config=None,  # its own would take over logging of the whole process
    )
