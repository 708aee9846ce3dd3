"""serve: uvicorn around the Dispatcher, with one process or several, and signals that lose nothing."""

import asyncio
import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from powerstrip.contract.errors import PowerstripError
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.composition import compose
from powerstrip.host.config.config import load_config, read_config
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.connection import ServerConfig
from powerstrip.host.discovery import discover_plugins
from powerstrip.host.logs import configure_logging
from powerstrip.host.supervisor import Supervisor

logger = logging.getLogger(__name__)

Sources = tuple[Sequence[Path | str], Sequence[str]]


def serve(paths: Sequence[Path | str], overrides: Sequence[str] = ()) -> None:
    """Serve the config until SIGTERM or SIGINT, then drain and stop; a second signal stops at once.

    Raises ConfigError, CompositionError, BuildError or StartError when it can't be served, and
    PowerstripError when the workers could not start (each has logged why).
    """
    config = read_config(paths, overrides)
    discovery = discover_plugins()
    if config.has_errors:
        compose(config, discovery)  # raises, with what is wrong with the plugins as well
    configure_logging(config.logging, discovery.packages)
    if config.server.workers > 1:
        _serve_with_workers((paths, overrides), config.server)
    else:
        _serve_alone((paths, overrides), config.server)


def _serve_alone(sources: Sources, settings: ServerSettings) -> None:
    failures: list[Exception] = []
    server = uvicorn.Server(_server_config(_application(sources, failures.append), settings))
    with _ending_normally():
        try:
            server.run()
        except SystemExit:  # uvicorn's way to say that the application did not start
            if failures:
                raise failures[0] from None
            raise PowerstripError(f"can't listen on {settings.host}:{settings.port}") from None


def _serve_with_workers(sources: Sources, settings: ServerSettings) -> None:
    # Called in each worker: what it takes along must be picklable.
    make_application = functools.partial(_worker_application, sources)
    config = _server_config(make_application, settings, factory=True, workers=settings.workers)
    workers = _Workers(config, [config.bind_socket()])
    workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        raise PowerstripError("a worker could not start; its log line says why")


def _application(sources: Sources, on_failure: Callable[[Exception], None]) -> Dispatcher:
    supervisor = Supervisor(*sources)
    return Dispatcher(supervisor, on_failure, functools.partial(_drain_on_signals, supervisor))


def _worker_application(sources: Sources) -> Dispatcher:
    configure_logging(load_config(*sources).logging, discover_plugins().packages)
    return _application(sources, _log_failure)


def _log_failure(error: Exception) -> None:
    logger.error("the worker can't serve: %s", error)


def _server_config(application: Any, settings: ServerSettings, **options: Any) -> ServerConfig:
    return ServerConfig(
        application,
        host=settings.host,
        port=settings.port,
        header_timeout=settings.header_timeout,
        max_header_size=settings.max_header_size,
        backlog=settings.backlog,
        limit_concurrency=settings.limit_concurrency,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=settings.drain_timeout,
        log_config=None,  # logging is ours
        access_log=False,  # the tracing plugin writes a better one
        proxy_headers=False,  # the edge plugin knows which proxies to trust
        server_header=False,
        ws_per_message_deflate=False,
        ws_max_size=settings.max_message_size,
        **options,
    )


@contextmanager
def _ending_normally() -> Iterator[None]:
    """uvicorn raises the signal again after a clean stop, which would end the process before the exit code is set."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _drain_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """A first signal turns readiness red and stops the server `server.drain_delay` later; a second stops it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    stop_server: Any = signal.getsignal(signal.SIGTERM)  # uvicorn's, which takes any signal
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        generation = supervisor.current
        if len(seen) > 1 or generation is None:
            stop_server(number, frame)
            stop_server(signal.SIGINT, frame)  # what uvicorn takes as "now", once it is stopping
            return
        generation.announce_drain()
        delay = generation.composition.config.server.drain_delay
        loop.call_soon_threadsafe(loop.call_later, delay, stop_server, number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_server)


class _Workers(Multiprocess):
    """uvicorn's supervisor; a second signal ends the workers at once."""

    def join_all(self) -> None:
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                for process in self.processes:
                    process.process.kill()
            time.sleep(0.05)
        super().join_all()
