"""`powerstrip serve`, as an operator starts it."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

LINE = [sys.executable, "-m", "powerstrip", "serve"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A server that answers by the time the context is entered."""
    with subprocess.Popen([*LINE, *options], cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            transport = httpx2.HTTPTransport(retries=8)  # each waits twice as long as the one before
            with httpx2.Client(transport=transport) as client:
                assert client.get(f"http://127.0.0.1:{port}/openapi.json").status_code == 200
            yield process
        finally:
            process.kill()


def test_it_serves_where_the_options_say_and_ends_well_on_sigterm(folder: Path, write_config, port: int):
    write_config("app: {docs: on}\nserver: {host: 203.0.113.1, port: 1, workers: 2}")

    with serving(folder, port, "--host", "127.0.0.1", "--port", str(port), "--workers", "1") as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) == 0


def test_a_broken_config_is_told_in_findings_and_exits_with_1(folder: Path, write_config):
    write_config("plugins: {lamp: on}")

    ended = subprocess.run(LINE, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert "config/config.yaml:1:11: error: plugin 'lamp' is switched on but not installed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_told_without_a_traceback(folder: Path, write_config):
    write_config("plugins: {}")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = [*LINE, "--port", port]
        ended = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert f"error: can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", [("--port", "65536"), ("--port", "http"), ("--workers", "0")])
def test_an_option_out_of_range_is_a_usage_error(run, option):
    assert run("serve", *option).exit_code == 2
