"""`create_app` gives an application that servers and test clients other than ours run unchanged."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from powerstrip import create_app

CONFIG = """
app: {title: Foreign, docs: true}
plugins:
  health: on
  tracing: {access_log: off}
  edge: on
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "served.py").write_text("from powerstrip import create_app\n\napp = create_app('config.yaml')\n")
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def when_up(url: str, process: subprocess.Popen[bytes]) -> httpx2.Response:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read()
        try:
            return httpx2.get(url)
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError("the server did not come up")


def check(answer: httpx2.Response) -> None:
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("server", ["hypercorn", "granian"])
def test_a_foreign_server_runs_the_application(folder, server):
    port = free_port()
    command = {
        "hypercorn": ("hypercorn", "served:app", "--bind", f"127.0.0.1:{port}"),
        "granian": ("granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), "served:app"),
    }[server]

    with running(folder, *command) as process:
        check(when_up(f"http://127.0.0.1:{port}/health", process))
        missing = httpx2.get(f"http://127.0.0.1:{port}/nowhere")
        ready = httpx2.get(f"http://127.0.0.1:{port}/health/ready")

    assert missing.json()["error"]["request_id"] == missing.headers["x-request-id"]
    assert ready.status_code == 200


def test_starlettes_test_client_runs_the_application(folder):
    with TestClient(create_app(folder / "config.yaml")) as client:
        check(client.get("/health"))
        assert client.get("/openapi.json").json()["info"]["title"] == "Foreign"
