"""build: `/openapi.json`, `/docs` and `/redoc`, with every asset from this server."""

import asyncio
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from powerstrip.contract.routes import Access
from powerstrip.host.routes import HOST, OwnedRoute

# The pages carry one inline script each, Swagger UI draws images from data: and ReDoc works in a blob: worker.
_CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
)


def docs_routes(app: FastAPI) -> list[OwnedRoute]:
    """The routes of the documentation pages, owned by the host."""
    assets = StaticFiles(directory=str(files("fastapi_offline") / "static"))

    async def openapi(request: Request) -> Response:
        # The first call makes the document, which takes about a millisecond per route.
        document: dict[str, Any] = await asyncio.to_thread(app.openapi)
        root_path = request.scope.get("root_path", "").rstrip("/")
        return JSONResponse({**document, "servers": [{"url": root_path}]} if root_path else document)

    async def docs(request: Request) -> Response:
        root_path = request.scope.get("root_path", "").rstrip("/")
        return _page(
            get_swagger_ui_html(
                openapi_url=f"{root_path}/openapi.json",
                title=app.title,
                swagger_js_url=f"{root_path}/docs/assets/swagger-ui-bundle.js",
                swagger_css_url=f"{root_path}/docs/assets/swagger-ui.css",
                swagger_favicon_url=f"{root_path}/docs/assets/favicon.png",
            )
        )

    async def redoc(request: Request) -> Response:
        root_path = request.scope.get("root_path", "").rstrip("/")
        return _page(
            get_redoc_html(
                openapi_url=f"{root_path}/openapi.json",
                title=app.title,
                redoc_js_url=f"{root_path}/docs/assets/redoc.standalone.js",
                redoc_favicon_url=f"{root_path}/docs/assets/favicon.png",
                with_google_fonts=False,
            )
        )

    routes: list[BaseRoute] = [
        Route("/openapi.json", openapi, include_in_schema=False),
        Route("/docs", docs, include_in_schema=False),
        Route("/redoc", redoc, include_in_schema=False),
        Mount("/docs/assets", assets, name="docs-assets"),
    ]
    return [
        OwnedRoute(
            HOST, route, route.handle, frozenset(getattr(route, "methods", None) or ()) or None, Access("public")
        )
        for route in routes
    ]


def _page(page: HTMLResponse) -> Response:
    page.headers["Content-Security-Policy"] = _CONTENT_POLICY
    return page
