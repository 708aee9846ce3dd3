"""Running applications with things to export, on SQLite and PostgreSQL."""

import csv
import io
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

from powerstrip import Identity, create_app
from powerstrip.testing import signed_in
from powerstrip.testing.installed import discovery_with
from powerstrip_database import Database

sys.path.insert(0, str(Path(__file__).parent))

from exports_sample import Table, Thing, Things

READER = Identity("reader", "Reader", frozenset(("user",)), frozenset(("things:read",)))
OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))
ADMIN = Identity("root", "Root", frozenset(("admin",)), frozenset(("*",)))


class Api:
    """One running application."""

    def __init__(self, app: Any, client: httpx2.AsyncClient) -> None:
        self.app = app
        self.http = client

    @property
    def services(self) -> Any:
        return self.app.state.powerstrip.index.services

    async def get(self, path: str, caller: Identity | None = READER, **options: Any) -> httpx2.Response:
        headers = {**signed_in(caller), **options.pop("headers", {})}
        return await self.http.get(f"/api/v1{path}", headers=headers, **options)

    async def post(self, path: str, json: Any, caller: Identity | None = READER) -> httpx2.Response:
        return await self.http.post(f"/api/v1{path}", json=json, headers=signed_in(caller))

    async def delete(self, path: str, caller: Identity | None = READER) -> httpx2.Response:
        return await self.http.delete(f"/api/v1{path}", headers=signed_in(caller))

    async def add(self, *rows: dict[str, Any]) -> None:
        async with self.services[Database].transaction() as session:
            await session.execute(insert(Thing), list(rows))

    async def csv(self, path: str, caller: Identity | None = READER, **options: Any) -> list[dict[str, str]]:
        answer = await self.get(path, caller, **options)
        assert answer.status_code == 200, answer.text
        return read_csv(answer.content)


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def start(powerstrip_config, database_url, tmp_path, monkeypatch) -> Start:
    """Starts applications on one database: `async with start(streams=1) as api: ...`."""
    monkeypatch.chdir(tmp_path)
    return starter(powerstrip_config, database_url)


@pytest.fixture
def start_on_sqlite(powerstrip_config, sqlite_url, tmp_path, monkeypatch) -> Start:
    """The same, for what the database has no part in."""
    monkeypatch.chdir(tmp_path)
    return starter(powerstrip_config, sqlite_url)


def starter(config: Any, url: str) -> Start:
    @asynccontextmanager
    async def running(
        *, plugins: dict[str, Any] | None = None, clock: Any = None, extra: Any = None, **settings: Any
    ) -> AsyncGenerator[Api]:
        sections = {
            "fake_identity": True,
            "database": {"url": url},
            "things": True,
            "exports": settings,
            **(plugins or {}),
        }
        discovery = discovery_with({"things": Things, **(extra or {})})
        application = create_app(config(sections, app={"docs": True}), environ={}, discovery=discovery, clock=clock)
        transport = httpx2.ASGITransport(app=application, raise_app_exceptions=False)
        async with (
            application.router.lifespan_context(application),
            httpx2.AsyncClient(transport=transport, base_url="http://api.example") as http,
        ):
            api = Api(application, http)
            async with api.services[Database].engine.begin() as connection:
                await connection.run_sync(Table.metadata.create_all)
            yield api

    return running


@pytest.fixture
async def api(start) -> AsyncGenerator[Api]:
    async with start() as running:
        yield running


@pytest.fixture
async def api_on_sqlite(start_on_sqlite) -> AsyncGenerator[Api]:
    async with start_on_sqlite() as running:
        yield running
