"""A real server on a free loopback port, for what a test client can't show: streaming, sockets, signals."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from powerstrip.contract.errors import PowerstripError
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.connection import ServerConfig
from powerstrip.testing.client import compose_application
from powerstrip.testing.config import ConfigBuilder

_START_LIMIT = 60.0  # seconds, on a machine that does much else
_STOP_LIMIT = 15.0
_LOOPBACK = "127.0.0.1"


class ServedFactory:
    """Serves composed plugins from a thread of the test: `with powerstrip_served({"greeter": True}) as base_url:`.

    It takes what `powerstrip_client` takes. The server has the limits of `powerstrip serve`; signals
    don't reach it, that is what `powerstrip_process` is for.
    """

    def __init__(self, config: ConfigBuilder) -> None:
        self._config = config

    @contextmanager
    def __call__(self, plugins: Mapping[str, Any], **options: Any) -> Iterator[str]:
        """Serve until the context is left; gives the base URL.

        An `identity` among the options only switches `fake_identity` on: each request says who it
        comes from, with the headers `signed_in(identity)`.
        """
        application = compose_application(self._config, plugins, **options)
        with socket.create_server((_LOOPBACK, 0)) as listener:
            server = _ThreadedServer(_server_config(application))
            thread = threading.Thread(target=server.serve_on, args=(listener,), name="powerstrip-served", daemon=True)
            thread.start()
            try:
                server.wait_until_started(thread)
                yield f"http://{_LOOPBACK}:{listener.getsockname()[1]}"
            finally:
                _stop(server, thread)


class _ThreadedServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._settled = threading.Event()

    def serve_on(self, listener: socket.socket) -> None:
        with suppress(SystemExit):  # uvicorn's way to say that the application did not start
            self.run([listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self._settled.set()

    def wait_until_started(self, thread: threading.Thread) -> None:
        deadline = time.monotonic() + _START_LIMIT
        while not self._settled.wait(0.05):
            if not thread.is_alive() or time.monotonic() > deadline:
                break
        if not self.started:
            raise PowerstripError("the application did not start to serve: the log says why")


def _server_config(application: FastAPI) -> ServerConfig:
    settings: ServerSettings = application.state.powerstrip.composition.config.server
    return ServerConfig(
        application,
        header_timeout=settings.header_timeout,
        max_header_size=settings.max_header_size,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws_per_message_deflate=False,
        ws_max_size=settings.max_message_size,
        timeout_keep_alive=round(settings.keep_alive),
        timeout_graceful_shutdown=min(round(settings.drain_timeout), round(_STOP_LIMIT / 3)),
    )


def _stop(server: uvicorn.Server, thread: threading.Thread) -> None:
    server.should_exit = True
    thread.join(_STOP_LIMIT)
    if thread.is_alive():
        server.force_exit = True
        thread.join(_STOP_LIMIT)
    if thread.is_alive():
        raise PowerstripError(f"the server did not stop within {2 * _STOP_LIMIT:g} s: a plugin blocks the event loop")


class ServedProcess:
    """A running `powerstrip serve`: `base_url`, its `process` to signal, its `config`, and what it has logged."""

    def __init__(self, process: "subprocess.Popen[bytes]", base_url: str, config: Path, log: Path) -> None:
        self.process = process
        self.base_url = base_url
        self.config = config
        self._log = log

    @property
    def log(self) -> str:
        """What it has written to stdout and stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """SIGTERM, as a service manager does it; returns the exit code. A process that hangs is killed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(_STOP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


class ProcessFactory:
    """Serves installed plugins from a process of their own, by the real command: `with powerstrip_process({...}) as
    process:`."""

    def __init__(self, config: ConfigBuilder, folder: Path) -> None:
        self._config = config
        self._folder = folder

    @contextmanager
    def __call__(
        self, plugins: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, **sections: Any
    ) -> Iterator[ServedProcess]:
        """Serve until the context is left. `environ` is added to the environment; raises PowerstripError with the log
        when it does not start.
        """
        port = _free_port()
        server = {**sections.pop("server", {}), "host": _LOOPBACK, "port": port}
        path = self._config(plugins, server=server, **sections)
        command = [sys.executable, "-m", "powerstrip", "serve", "--config", str(path)]
        served = self._start(command, f"http://{_LOOPBACK}:{port}", path, environ or {})
        try:
            _wait_for_port(served, port)
            yield served
        finally:
            served.stop()

    def _start(self, command: Sequence[str], base_url: str, config: Path, environ: Mapping[str, str]) -> ServedProcess:
        log = config.with_suffix(".log")
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self._folder,
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return ServedProcess(process, base_url, config, log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(served: ServedProcess, port: int) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while served.process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((_LOOPBACK, port)) == 0:
                return
        time.sleep(0.02)
    raise PowerstripError(f"`powerstrip serve` does not answer on port {port}. It wrote:\n{served.log}")
