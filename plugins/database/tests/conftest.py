"""Applications with the routes and tables of `database_sample`, and databases without an application."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from powerstrip import Plugin, PluginSettings, Services, hookimpl
from powerstrip.testing import ClientFactory
from powerstrip_database import Database

Start = Callable[..., TestClient]
Running = Callable[..., AbstractAsyncContextManager[Services]]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def sample_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests, and the processes they start, can import `database_sample`."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


@pytest.fixture
def notes() -> Any:
    """The sample plugin's package."""
    return import_module("database_sample")


@pytest.fixture
def compose_on(powerstrip_client: ClientFactory, notes: Any) -> Callable[..., Any]:
    """Makes an application of `database` at this URL, with these settings beside it, and `notes`."""

    def do(url: str, settings: Mapping[str, Any] | None = None, **options: Any) -> Any:
        plugins = {"database": {"url": url, **(settings or {})}, "notes": True, **options.pop("plugins", {})}
        extra = {"notes": notes.Notes, **options.pop("extra", {})}
        return powerstrip_client(plugins, extra=extra, **options).app

    return do


@pytest.fixture
def compose(compose_on: Callable[..., Any], database_url: str) -> Callable[..., Any]:
    """The same for the database of the test: it runs once on SQLite and once on PostgreSQL."""
    return partial(compose_on, database_url)


@pytest.fixture
def start(compose: Callable[..., Any]) -> Iterator[Start]:
    """The same, running, behind a client; exceptions become answers."""
    with ExitStack() as stack:

        def do(settings: Mapping[str, Any] | None = None, **options: Any) -> TestClient:
            client = TestClient(compose(settings, **options), raise_server_exceptions=False)
            return stack.enter_context(client)

        yield do


class Witness:
    """Tells a test which services its application has: a plugin that starts last."""

    def __init__(self) -> None:
        self.services: Any = None
        witness = self

        class Witnessing(Plugin[PluginSettings]):
            """Sees the services."""

            requires = ("notes",)

            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services: Services) -> AsyncIterator[None]:
                witness.services = services
                yield

        self.extra = {"witness": Witnessing}
        self.plugins = {"witness": True}


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def running_on(compose_on: Callable[..., Any], witness: Witness) -> Running:
    """An application in the event loop of the test, without a client: `async with running_on(url) as services: ...`"""

    @asynccontextmanager
    async def do(url: str, settings: Mapping[str, Any] | None = None, **options: Any) -> AsyncIterator[Services]:
        extra = {**witness.extra, **options.pop("extra", {})}
        plugins = {**witness.plugins, **options.pop("plugins", {})}
        app = compose_on(url, settings, extra=extra, plugins=plugins, **options)
        async with app.router.lifespan_context(app):
            yield witness.services

    return do


@pytest.fixture
def running(running_on: Running, database_url: str) -> Running:
    """The same for the database of the test."""
    return partial(running_on, database_url)


@pytest.fixture
async def database(running: Running) -> AsyncIterator[Database]:
    """The service of a running application with default settings."""
    async with running() as services:
        yield services[Database]
