"""What the tests of ratelimit share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from powerstrip.testing import ClientFactory, FakeClock
from powerstrip_ratelimit.stores.memory import MemoryStore
from powerstrip_ratelimit.stores.redis import RedisStore, limits_script
from powerstrip_redis import RedisConnections
from powerstrip_redis.settings import RedisSettings


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Moment:
    """A clock in microseconds that a test sets."""

    def __init__(self):
        self.at = 0

    def __call__(self):
        return self.at


@pytest.fixture
def moment():
    return Moment()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def sample(monkeypatch):
    """The plugin with the routes."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return import_module("ratelimit_sample").RatelimitSample


Start = Callable[..., TestClient]


@pytest.fixture
def start(powerstrip_client: ClientFactory, sample: Any, clock: FakeClock) -> Iterator[Start]:
    """A client of a running application: `start({"default": "2/minute"}, address="192.0.2.7", identity=ann)`."""
    with ExitStack() as stack:

        def do(
            settings: Any = True,
            *,
            address: str = "192.0.2.1",
            plugins: dict[str, Any] | None = None,
            extra: dict[str, Any] | None = None,
            **options: Any,
        ) -> TestClient:
            more = {"sample": sample, **(extra or {})}
            listed = {"ratelimit": settings, **dict.fromkeys(more, True), **(plugins or {})}
            made = powerstrip_client(listed, extra=more, clock=clock, **options)
            client = TestClient(made.app, client=(address, 1234), headers=made.headers, raise_server_exceptions=False)
            return stack.enter_context(client)

        yield do


@pytest.fixture
def from_address() -> Callable[..., TestClient]:
    """Another client of the same application: `from_address(client, "192.0.2.9")`."""

    def do(client: TestClient, address: str) -> TestClient:
        return TestClient(client.app, client=(address, 1234), raise_server_exceptions=False)

    return do


@pytest.fixture
def make_reference(monkeypatch):
    """Makes a store that works every answer out from the rules: `make_reference(now)`."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return import_module("ratelimit_reference").ReferenceStore


@pytest.fixture(params=["reference", "memory", "redis"])
async def store(request, moment, make_reference):
    """Each store in turn, on the test's own time."""
    if request.param == "reference":
        yield make_reference(moment)
    elif request.param == "memory":
        yield MemoryStore(moment, max_keys=1000)
    else:
        async with timed_redis_store(request.getfixturevalue("valkey").url, moment) as store:
            yield store


@pytest.fixture
def timed_store(valkey, moment):
    """Makes stores on Redis and on the test's own time: `async with timed_store() as store: ...`"""
    return lambda: timed_redis_store(valkey.url, moment)


class TimedRedisStore(RedisStore):
    """Its script takes the time from a key, and keeps keys for longer than such short periods say."""

    def __init__(self, connections, moment):
        clock, margin = "local clock = call('TIME')", "local margin = 0"
        script = limits_script()
        assert clock in script
        assert margin in script
        script = script.replace(clock, "local clock = {0, call('GET', 'test-time')}").replace(
            margin, f"{margin} + 60000"
        )
        super().__init__(OnTime(connections, moment), within=30, script=script)


class OnTime:
    """Connections that tell the script the time first."""

    def __init__(self, connections, moment):
        self.is_cluster = connections.is_cluster
        self.key = connections.key
        self.client = connections.client
        self.connections = connections
        self.moment = moment

    @property
    def is_available(self):
        return self.connections.is_available

    async def exchange(self, commands, within):
        await self.client.set("test-time", self.moment())
        return await self.connections.exchange(commands, within)


@asynccontextmanager
async def timed_redis_store(url, moment):
    connections = RedisConnections(RedisSettings(url=url, timeout=30))
    store = TimedRedisStore(connections, moment)
    try:
        yield store
    finally:
        await store.close()
        await connections.close()
