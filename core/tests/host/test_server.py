"""What the served process does with signals, slow clients and failing starts."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

SLOW = """
    import asyncio
    from contextlib import asynccontextmanager
    from pathlib import Path
    import os

    from fastapi import APIRouter, Request
    from powerstrip import HealthCheck, HostStatus, Plugin, PluginSettings, Routes, hookimpl, service
    from fastapi import Depends
    from typing import Annotated

    import logging

    router = APIRouter()

    @router.get("/told")
    async def told() -> None:
        logging.getLogger("slow_plugin.inside").warning("told by the plugin")
        logging.getLogger("elsewhere").warning("told by a library")

    @router.get("/slow")
    async def slow(seconds: float = 1.0) -> int:
        Path("in-flight").touch()
        await asyncio.sleep(seconds)
        return os.getpid()

    @router.get("/step")
    async def step(status: Annotated[HostStatus, Depends(service(HostStatus))]) -> str:
        return status.step

    @router.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    class Settings(PluginSettings):
        fail: bool = False

    class Slow(Plugin[Settings]):
        @hookimpl
        def register_routes(self):
            return [Routes(router, version=None)]

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            if self.settings.fail:
                raise RuntimeError("no disk")
            yield
            Path("stopped").touch()
"""


class Served:
    """A `powerstrip serve` process in a folder of its own."""

    def __init__(self, folder: Path, config: str, write_distribution) -> None:
        self.folder = folder
        write_distribution(folder / "lib", "powerstrip-slow", {"slow_plugin": SLOW}, {"slow": "slow_plugin:Slow"})
        (folder / "config.yaml").write_text(config)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "powerstrip", "serve", "--config", "config.yaml"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder / "lib")},
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def url(self) -> str:
        """Waits until it listens, and says where."""
        found = self.until(lambda: re.search(r"running on (http://[\d.:]+)", self.log.read_text()))
        return found[1]

    def until(self, condition, seconds: float = 20.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; the log says:\n{self.log.read_text()}")

    def exists(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def serve(tmp_path: Path, write_distribution) -> Iterator[object]:
    started: list[Served] = []

    def do(config: str) -> Served:
        served = Served(tmp_path, config, write_distribution)
        started.append(served)
        return served

    yield do
    for served in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait()


CONFIG = "server: {port: 0, drain_timeout: 5, header_timeout: 0.5, max_header_size: 2048}\nlogging: {format: json}\n"
ON = CONFIG + "plugins: {slow: on}\n"


def in_background(url: str) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []

    def get() -> None:
        try:
            # Reading the certificates of the world would take longer than the request.
            answers.append(httpx2.get(url, timeout=30, verify=False))
        except httpx2.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=get)
    thread.start()
    return thread, answers


def test_sigterm_turns_readiness_red_finishes_what_is_in_flight_and_exits_0(serve):
    served = serve(ON.replace("drain_timeout", "drain_delay: 0.6, drain_timeout"))
    url = served.url()
    thread, answers = in_background(f"{url}/slow?seconds=1.5")
    served.until(lambda: served.exists("in-flight"))

    served.process.send_signal(signal.SIGTERM)

    assert served.until(lambda: httpx2.get(f"{url}/step", verify=False).json() == "draining")
    thread.join()
    assert answers[0].status_code == 200
    assert served.process.wait(10) == 0
    assert served.exists("stopped")


def test_a_second_sigterm_stops_at_once(serve):
    served = serve(ON.replace("drain_timeout: 5", "drain_timeout: 60"))
    thread, _ = in_background(f"{served.url()}/slow?seconds=60")
    served.until(lambda: served.exists("in-flight"))

    served.process.send_signal(signal.SIGTERM)
    served.until(lambda: "Shutting down" in served.log.read_text())
    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(10) is not None
    thread.join()


def test_log_lines_say_whose_they_are_and_which_request_they_belong_to(serve):
    served = serve(ON.replace("slow: on", "slow: on, tracing: {access_log: off}"))
    httpx2.get(served.url() + "/told", headers={"x-request-id": "request-1"})

    lines = [json.loads(line) for line in served.log.read_text().splitlines() if "told by" in line]

    assert [(line["event"], line["plugin"], line["request_id"], line["level"]) for line in lines] == [
        ("told by the plugin", "slow", "request-1", "warning"),
        ("told by a library", "slow", "request-1", "warning"),
    ]


def test_draining_is_bounded(serve):
    served = serve(ON.replace("drain_timeout: 5", "drain_timeout: 0.3"))
    thread, _ = in_background(f"{served.url()}/slow?seconds=60")
    served.until(lambda: served.exists("in-flight"))

    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(10) == 0
    assert served.exists("stopped")
    thread.join()


def test_a_plugin_that_fails_to_start_is_named_and_the_process_exits_1(serve):
    served = serve(CONFIG + "plugins: {slow: {fail: true}}\n")

    assert served.process.wait(20) == 1
    assert "plugin 'slow' failed at start: RuntimeError: no disk" in served.log.read_text()
    assert "Traceback" not in served.log.read_text()


def test_several_workers_answer_and_stop_together(serve):
    served = serve(ON.replace("port: 0", "port: 0, workers: 2"))
    url = served.url()

    def both() -> bool:
        threads = [in_background(f"{url}/slow?seconds=0.3") for _ in range(8)]
        for thread, _ in threads:
            thread.join()
        found = [answer for _, answers in threads for answer in answers if isinstance(answer, httpx2.Response)]
        return len({answer.json() for answer in found}) == 2

    served.until(both)
    served.process.send_signal(signal.SIGTERM)

    assert served.process.wait(15) == 0


def test_workers_that_fail_to_start_make_the_process_exit_1(serve):
    served = serve(CONFIG.replace("port: 0", "port: 0, workers: 2") + "plugins: {slow: {fail: true}}\n")

    assert served.process.wait(30) == 1
    assert "plugin 'slow' failed at start: RuntimeError: no disk" in served.log.read_text()


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=15)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /st", b"GET /step HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_client_that_does_not_finish_its_head_in_time_is_refused(serve, sent):
    with connect(serve(ON).url()) as connection:
        connection.sendall(sent)

        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_second_request_on_a_connection_has_the_same_time(serve):
    with connect(serve(ON).url()) as connection:
        connection.sendall(b"GET /step HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.sendall(b"GET /step HTTP/1.1\r\nHo")

        received = read_all(connection)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in received


@pytest.mark.parametrize(
    "head", [b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + b"X-Long: 12345678\r\n" * 400]
)
def test_a_head_that_is_too_large_is_refused(serve, head):
    with connect(serve(ON).url()) as connection:
        connection.sendall(head + b"Host: x\r\n\r\n")

        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\n\r\n", 431, "RequestHeaderFieldsTooLarge"),
        (b"GET / HTTP/1.1\r\nHost", 408, "RequestTimeout"),
        (b"no HTTP at all\r\n\r\n", 400, "BadRequest"),
    ],
)
def test_what_never_reaches_the_application_is_refused_in_the_shape_of_every_error(serve, sent, status, kind):
    with connect(serve(ON).url()) as connection:
        connection.sendall(sent)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    error = json.loads(body)["error"]
    assert b"content-type: application/json" in head
    assert (error["status_code"], error["type"]) == (status, kind)


def test_a_head_that_grows_too_large_piece_by_piece_is_refused_before_it_ends(serve):
    with connect(serve(ON).url()) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"X-More: " + b"1" * 92 + b"\r\n")

        assert read_all(connection).startswith(b"HTTP/1.1 431 ")


def test_a_large_body_behind_a_small_head_is_not_taken_for_a_large_head(serve):
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 50000\r\n\r\n"
    with connect(serve(ON).url()) as connection:
        connection.sendall(head + b"x" * 50000)

        assert read_all(connection).endswith(b"\r\n\r\n50000")


def test_a_body_that_trickles_in_is_cut_off(serve):
    with connect(serve(ON).url()) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 15:
                connection.sendall(b"x")
                time.sleep(0.05)

        assert time.monotonic() - started < 15
        assert b"200" not in read_all(connection)


def test_a_body_that_keeps_coming_is_read_however_long_it_takes(serve):
    with connect(serve(ON).url()) as connection:
        connection.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8000\r\n\r\n")
        for _ in range(16):
            connection.sendall(b"x" * 500)
            time.sleep(0.1)

        assert read_all(connection).endswith(b"\r\n\r\n8000")


HANGING = """
    import time
    from powerstrip import Plugin, PluginSettings, hookimpl

    class Hanging(Plugin[PluginSettings]):
        @hookimpl
        def register_routes(self):
            time.sleep(3600)
"""


@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_plugin_that_hangs_while_it_is_built_is_named_and_the_process_ends(
    tmp_path, write_distribution, serve, where
):
    source = "import time\ntime.sleep(3600)\n" if where == "import" else HANGING
    write_distribution(tmp_path / "lib", "powerstrip-stuck", {"stuck": source}, {"stuck": "stuck:Hanging"})
    served = serve(CONFIG.replace("port: 0", "port: 0, start_timeout: 0.5") + "plugins: {stuck: on}\n")

    assert served.process.wait(20) == 1
    assert "plugin 'stuck' failed at build: took longer than 0.5 s" in served.log.read_text()
