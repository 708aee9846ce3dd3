"""FastAPI with nothing, and FastAPI with everything wired by hand."""

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from benchmarks.asgi_client import HOST, ORIGIN
from benchmarks.peers import features
from benchmarks.peers.shop import PREFIX, shop_router


def bare_fastapi() -> FastAPI:
    """The routes and nothing else."""
    app = FastAPI()
    app.include_router(shop_router(), prefix=PREFIX)
    return app


def hand_wired_fastapi() -> FastAPI:
    """Starlette's middleware where there is one, pure ASGI classes for the rest; no BaseHTTPMiddleware."""
    middleware = [
        Middleware(features.RequestId),
        Middleware(features.Timing),
        Middleware(features.SecurityHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "127.0.0.1"]),
        Middleware(
            CORSMiddleware,
            allow_origins=[ORIGIN],
            allow_methods=["GET", "POST"],
            allow_credentials=True,
            expose_headers=features.EXPOSED_HEADERS,
        ),
        Middleware(features.BodyLimit),
        Middleware(SessionMiddleware, secret_key=features.SECRET_KEY),
        Middleware(GZipMiddleware, minimum_size=features.MINIMUM_COMPRESSED),
    ]
    app = FastAPI(middleware=middleware)
    app.include_router(shop_router(), prefix=PREFIX)
    return app
