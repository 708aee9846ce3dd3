"""The shop behind the limiters of FastAPI and Litestar that people use, as their documentation has them."""

from typing import Any

from fastapi import FastAPI
from litestar import Litestar, Router
from litestar.middleware.rate_limit import RateLimitConfig
from slowapi import Limiter
from slowapi.middleware import SlowAPIASGIMiddleware
from slowapi.util import get_remote_address

from benchmarks.peers.litestar_peer import featured, item
from benchmarks.peers.shop import PREFIX, find_item

# Never reached: refusing is another question, and a cheaper one.
MANY = 1_000_000_000


def direct_fastapi() -> FastAPI:
    """Routes without an included router: slowapi silently limits none that is included."""
    app = FastAPI()

    @app.get(f"{PREFIX}/featured")
    async def featured_item() -> Any:
        return find_item(1)

    return app


def slowapi_fastapi() -> FastAPI:
    """The same with slowapi's leaner middleware, and its headers on, as all the others have them."""
    app = direct_fastapi()
    app.state.limiter = Limiter(
        key_func=get_remote_address, default_limits=[f"{MANY}/minute"], headers_enabled=True, storage_uri="memory://"
    )
    app.add_middleware(SlowAPIASGIMiddleware)
    return app


def plain_litestar() -> Litestar:
    """Litestar with nothing."""
    return _litestar([])


def limited_litestar() -> Litestar:
    """Litestar with its own limiter."""
    return _litestar([RateLimitConfig(rate_limit=("minute", MANY)).middleware])


def _litestar(middleware: list[Any]) -> Litestar:
    return Litestar(
        [Router(PREFIX, route_handlers=[featured, item])],
        middleware=middleware,
        openapi_config=None,
        logging_config=None,  # its own would take over logging of the whole process
    )
