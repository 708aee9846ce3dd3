"""Two programs with keys, and a plugin that asks who calls without knowing how that is found out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, WebSocket
from starlette.testclient import TestClient

from powerstrip import (
    Identity,
    Plugin,
    PluginSettings,
    Routes,
    current_identity,
    hookimpl,
    optional_identity,
    public,
    require,
)
from powerstrip.testing import ClientFactory

READER_KEY = "reader-" + "r" * 32
DEPLOY_KEY = "deploy-" + "d" * 32

READER: dict[str, Any] = {"id": "reader", "name": "The reader", "key": READER_KEY, "permissions": ["reports:read"]}
DEPLOY: dict[str, Any] = {
    "id": "deploy",
    "key": f"sha256:{sha256(DEPLOY_KEY.encode()).hexdigest()}",
    "roles": ["admin"],
    "permissions": ["reports:*"],
}


class Reports(Plugin[PluginSettings]):
    """Shows reports to those who may see them."""

    requires = ("identity",)

    @hookimpl
    def register_routes(self):
        router = APIRouter(tags=["reports"])

        @router.get("/title", dependencies=[Depends(public)])
        async def read_title() -> str:
            return "Reports"

        @router.get("/greeting")
        async def read_greeting(identity: Annotated[Identity | None, Depends(optional_identity)]) -> str:
            return f"Hello, {identity.name if identity else 'stranger'}"

        @router.get("/me")
        async def read_me(identity: Annotated[Identity, Depends(current_identity)]) -> dict[str, Any]:
            return {"id": identity.id, "name": identity.name, "roles": sorted(identity.roles)}

        @router.get("/reports")
        async def read_reports(identity: Annotated[Identity, Depends(require(permission="reports:read"))]) -> str:
            return f"for {identity.id}"

        @router.delete("/reports", status_code=204, dependencies=[Depends(require("admin"))])
        async def delete_reports() -> None:
            return None

        @router.get("/failure", dependencies=[Depends(current_identity)])
        async def fail() -> None:
            raise RuntimeError("the reports burn")

        @router.websocket("/live")
        async def watch(websocket: WebSocket, identity: Annotated[Identity, Depends(current_identity)]) -> None:
            await websocket.accept()
            await websocket.send_text(identity.id)
            await websocket.close()

        return [Routes(router, version=None)]


@pytest.fixture
def reports() -> dict[str, type[Reports]]:
    """The plugin with the routes, by its name."""
    return {"reports": Reports}


@pytest.fixture
def start(powerstrip_client: ClientFactory, reports: dict[str, Any]) -> Iterator[Callable[..., TestClient]]:
    """Starts an application with two keys: `start(header="X-Key")` with these settings beside them."""
    with ExitStack() as stack:

        def do(*, beside: dict[str, Any] | None = None, sections: dict[str, Any] | None = None, **settings: Any):
            plugins = {**(beside or {}), "reports": True, "apikeys": {"keys": [READER, DEPLOY], **settings}}
            return stack.enter_context(powerstrip_client(plugins, extra=reports, **(sections or {})))

        yield do


@pytest.fixture
def client(start: Callable[..., TestClient]) -> TestClient:
    return start()


@pytest.fixture
def reader_key() -> str:
    """A key that may read reports, stated in the config."""
    return READER_KEY


@pytest.fixture
def deploy_key() -> str:
    """An admin's key, of which the config states the digest."""
    return DEPLOY_KEY
