"""What plugin authors get from `powerstrip.testing`: configs, clients, servers, a clock, somebody to be."""

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Annotated

import httpx2
import pytest
from fastapi import APIRouter, Depends, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import SecretStr

from powerstrip import (
    Clock,
    CompositionError,
    Identity,
    Plugin,
    PluginSettings,
    PowerstripError,
    Routes,
    SystemClock,
    current_identity,
    hookimpl,
    optional_identity,
    public,
    require,
    service,
)
from powerstrip.host.config.config import load_config
from powerstrip.testing import FakeClock, signed_in

HEAVY = ("powerstrip.contract", "powerstrip.host", "fastapi", "starlette", "pydantic", "uvicorn", "yaml")
ADA = Identity(id="1", name="Ada", roles=frozenset({"admin"}), permissions=frozenset({"a:b"}), claims={"x": [1]})


class SampleSettings(PluginSettings):
    greeting: str = "Hello"
    folder: str = ""
    key: SecretStr = SecretStr("")
    numbers: tuple[int, ...] = ()


class Sample(Plugin[SampleSettings]):
    """Shows what it was given."""

    @hookimpl
    def register_routes(self):
        router = APIRouter(prefix="/sample", dependencies=[Depends(public)])

        @router.get("")
        async def show() -> SampleSettings:
            return self.settings

        @router.get("/key")
        async def show_key() -> str:
            return self.settings.key.get_secret_value()

        @router.get("/time")
        async def tell_time(clock: Annotated[Clock, Depends(service(Clock))]) -> datetime:
            return clock.now()

        @router.get("/stream")
        async def stream() -> StreamingResponse:
            async def ticks():
                while True:
                    yield "tick\n"
                    await asyncio.sleep(0.01)

            return StreamingResponse(ticks())

        @router.websocket("/echo")
        async def echo(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()

        return [Routes(router, version=None)]


class Private(Plugin[PluginSettings]):
    """Asks who calls."""

    requires = ("identity",)

    @hookimpl
    def register_routes(self):
        router = APIRouter()

        @router.get("/me")
        async def me(identity: Annotated[Identity, Depends(current_identity)]) -> Identity:
            return identity

        @router.get("/maybe")
        async def maybe(identity: Annotated[Identity | None, Depends(optional_identity)]) -> str:
            return identity.name if identity else "stranger"

        @router.get("/admin", dependencies=[Depends(require("admin"))])
        async def admin() -> str:
            return "welcome"

        return [Routes(router, version=None)]


SAMPLE = {"sample": Sample}
PRIVATE = {"private": Private}


def test_the_pytest_plugin_costs_other_projects_next_to_nothing():
    code = f"""
import sys, powerstrip.testing.pytest_plugin
print([name for name in sys.modules if name.startswith({HEAVY})])
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_unknown_name_of_the_test_kit_is_refused_as_python_does():
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        from powerstrip.testing import nonsense  # noqa: F401, PLC0415 - the import is what is tested


# Configs


def test_a_config_says_what_it_was_given(powerstrip_config):
    path = powerstrip_config({"one": {"word": "on"}, "two": True, "three": False}, app={"title": "A title"})

    config = load_config([path], environ={})

    assert config.app.title == "A title"
    assert [(section.name, section.enabled) for section in config.plugins.values()] == [
        ("one", True),
        ("two", True),
        ("three", False),
    ]
    assert config.plugins["one"].data == {"word": "on"}


@pytest.mark.parametrize(
    "text", ["1e3", "012", "off", "null", "2026-01-01", "a: b", "# no", 'it "is"', "ü\n\t", "~", ""]
)
def test_text_stays_text(powerstrip_client, text):
    with powerstrip_client({"sample": {"greeting": text}}, extra=SAMPLE) as client:
        assert client.get("/sample").json()["greeting"] == text


def test_paths_and_tuples_are_written_as_operators_write_them(powerstrip_client):
    settings = {"folder": Path("/srv/data"), "numbers": (1, 2)}

    with powerstrip_client({"sample": settings}, extra=SAMPLE) as client:
        shown = client.get("/sample").json()

    assert (shown["folder"], shown["numbers"]) == (str(PurePosixPath("/srv/data")), [1, 2])


def test_each_config_has_a_file_of_its_own(powerstrip_config):
    assert powerstrip_config({}) != powerstrip_config({})


# Clients


def test_a_client_starts_and_stops_the_plugins(powerstrip_client):
    steps = []

    class Recorder(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            steps.append("started")
            yield
            steps.append("stopped")

    with powerstrip_client({"recorder": True}, extra={"recorder": Recorder}):
        assert steps == ["started"]

    assert steps == ["started", "stopped"]


def test_a_client_speaks_websocket(powerstrip_client):
    with (
        powerstrip_client({"sample": True}, extra=SAMPLE) as client,
        client.websocket_connect("/sample/echo") as websocket,
    ):
        websocket.send_text("hello")

        assert websocket.receive_text() == "hello"


def test_the_environment_is_what_the_test_says_it_is(powerstrip_client, monkeypatch):
    monkeypatch.setenv("POWERSTRIP__PLUGINS__SAMPLE__GREETING", "from the machine")
    settings = {"key": "${KEY}"}

    with powerstrip_client({"sample": settings}, extra=SAMPLE, environ={"KEY": "s3cret"}) as client:
        assert client.get("/sample/key").json() == "s3cret"
        assert client.get("/sample").json()["greeting"] == "Hello"


def test_an_extra_plugin_goes_before_the_installed_one_of_its_name(powerstrip_client):
    with powerstrip_client({"health": True}, extra={"health": Sample}) as client:
        assert client.get("/sample").status_code == 200
        assert client.get("/health").status_code == 404


def test_an_extra_plugin_that_is_not_listed_is_off(powerstrip_client):
    with powerstrip_client({}, extra=SAMPLE) as client:
        assert client.get("/sample").status_code == 404


def test_what_can_not_be_composed_is_refused_at_once(powerstrip_client):
    with pytest.raises(CompositionError, match="'private' requires 'identity'"):
        powerstrip_client({"private": True}, extra=PRIVATE)


# Identities


def test_requests_come_from_the_identity_of_the_client(powerstrip_client):
    with powerstrip_client({"private": True}, extra=PRIVATE, identity=ADA) as client:
        me = client.get("/me").json()

        assert client.get("/admin").status_code == 200
    assert me == {"id": "1", "name": "Ada", "roles": ["admin"], "permissions": ["a:b"], "session_id": None} | {
        "claims": {"x": [1]}
    }


def test_a_request_can_come_from_somebody_else_or_a_stranger(powerstrip_client):
    with powerstrip_client({"private": True}, extra=PRIVATE, identity=ADA) as client:
        bob = signed_in(Identity(id="2", name="Bob"))

        assert client.get("/maybe").json() == "Ada"
        assert client.get("/maybe", headers=bob).json() == "Bob"
        assert client.get("/admin", headers=bob).status_code == 403
        assert client.get("/maybe", headers=signed_in(None)).json() == "stranger"
        assert client.get("/me", headers=signed_in(None)).status_code == 401


def test_without_an_identity_callers_are_strangers(powerstrip_client):
    with powerstrip_client({"private": True, "fake_identity": True}, extra=PRIVATE) as client:
        assert client.get("/maybe").json() == "stranger"


# Clocks


def test_plugins_are_given_the_clock_of_the_test(powerstrip_client, fake_clock):
    with powerstrip_client({"sample": True}, extra=SAMPLE, clock=fake_clock) as client:
        first = client.get("/sample/time").json()
        fake_clock.advance(90)

        assert (first, client.get("/sample/time").json()) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z")


def test_plugins_are_given_the_clock_of_the_machine_otherwise(powerstrip_client):
    before = datetime.now(UTC)

    with powerstrip_client({"sample": True}, extra=SAMPLE) as client:
        told = datetime.fromisoformat(client.get("/sample/time").json())

    assert before <= told <= datetime.now(UTC)


def test_the_clock_of_the_machine_tells_aware_times_and_never_goes_back():
    clock = SystemClock()

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_a_fake_clock_moves_both_hands():
    clock = FakeClock(datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    clock.advance(1.5)

    assert (clock.now(), clock.monotonic()) == (datetime(2026, 3, 1, 10, 0, 1, 500_000, tzinfo=UTC), 1.5)


def test_a_fake_clock_can_be_corrected_without_its_seconds_going_back(fake_clock):
    fake_clock.advance(10)
    fake_clock.set_wall(datetime(2025, 1, 1, tzinfo=UTC))

    assert (fake_clock.now().year, fake_clock.monotonic()) == (2025, 10)


def test_a_fake_clock_refuses_what_no_clock_does(fake_clock):
    with pytest.raises(ValueError, match="can't go back by 1 s"):
        fake_clock.advance(-1)
    with pytest.raises(ValueError, match="has no time zone"):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


# Servers


def test_a_served_application_streams_over_a_real_connection(powerstrip_served):
    with (
        powerstrip_served({"sample": True}, extra=SAMPLE) as base_url,
        httpx2.stream("GET", f"{base_url}/sample/stream") as answer,
    ):
        assert next(answer.iter_lines()) == "tick"


def test_a_served_application_is_gone_afterwards(powerstrip_served):
    with powerstrip_served({"sample": True}, extra=SAMPLE) as base_url:
        url = httpx2.URL(base_url)

    with socket.socket() as probe:
        assert probe.connect_ex((url.host, url.port)) != 0


def test_a_served_application_takes_a_clock_and_identities(powerstrip_served, fake_clock):
    plugins = {"sample": True, "private": True}

    with powerstrip_served(plugins, extra={**SAMPLE, **PRIVATE}, identity=ADA, clock=fake_clock) as base_url:
        assert httpx2.get(f"{base_url}/sample/time").json() == "2026-01-01T00:00:00Z"
        assert httpx2.get(f"{base_url}/maybe", headers=signed_in(ADA)).json() == "Ada"


def test_an_application_that_can_not_start_is_not_served(powerstrip_served):
    class Broken(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            raise RuntimeError("broken")
            yield

    served = powerstrip_served({"broken": True}, extra={"broken": Broken})

    with pytest.raises(PowerstripError, match="did not start to serve"), served:
        pass


def test_a_process_serves_and_stops_on_a_signal(powerstrip_process):
    with powerstrip_process({"health": True}, logging={"format": "json"}) as served:
        assert httpx2.get(f"{served.base_url}/health").status_code == 200
        served.process.send_signal(signal.SIGTERM)

        assert served.process.wait(10) == 0
        assert '"event": "serving"' in served.log


def test_a_process_that_does_not_start_shows_its_log(powerstrip_process):
    served = powerstrip_process({"no_such_plugin": True})

    with pytest.raises(PowerstripError, match=r"(?s)does not answer on port .*'no_such_plugin' is switched on but not"):
        served.__enter__()
