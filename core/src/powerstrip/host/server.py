"""serve: uvicorn around the Dispatcher, with one process or several, and signals that lose nothing."""

import asyncio
import functools
import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from powerstrip.contract.errors import PowerstripError
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.composition import compose
from powerstrip.host.config.config import Config, read_config
from powerstrip.host.config.files import KeptFiles
from powerstrip.host.config.settings import LoggingSettings, ServerSettings
from powerstrip.host.connection import ServerConfig
from powerstrip.host.control import ControlError, control_path
from powerstrip.host.discovery import discover_plugins
from powerstrip.host.generation import Generation
from powerstrip.host.logs import configure_logging
from powerstrip.host.overseeing import Overseer
from powerstrip.host.supervisor import Supervisor
from powerstrip.host.triggers import OneProcess, triggered
from powerstrip.host.workers import Sources, Worker, join

logger = logging.getLogger(__name__)

_GOODBYE_TIME = 3.0  # seconds that plugins have, once they are told to drain, to end what is meant to stay open


def serve(paths: Sequence[Path | str], overrides: Sequence[str] = ()) -> None:
    """Serve the config until SIGTERM or SIGINT, then drain and stop; a second signal stops at once. SIGHUP reloads.

    Raises ConfigError, CompositionError, BuildError or StartError when it can't be served, and
    PowerstripError when the workers could not start (each has logged why).
    """
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
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
    applied = _LiveSettings()
    supervisor = Supervisor(*sources, on_import=_set_code_aside, on_swap=applied)
    control = _control_path(sources, settings)

    @asynccontextmanager
    async def while_serving() -> AsyncGenerator[None]:
        with _drain_on_signals(supervisor):
            async with triggered(OneProcess(supervisor), control):
                yield

    config = ServerConfig(Dispatcher(supervisor, failures.append, while_serving), **_server_options(settings))
    applied.follow(config)
    server = uvicorn.Server(config)
    with _ending_normally():
        try:
            server.run()
        except SystemExit:  # uvicorn's way to say that the application did not start
            if failures:
                raise failures[0] from None
            raise PowerstripError(f"can't listen on {settings.host}:{settings.port}") from None


def _serve_with_workers(sources: Sources, settings: ServerSettings) -> None:
    applied = _LiveSettings()
    with Overseer(sources, applied, _control_path(sources, settings)) as overseer:
        # Called in each worker: what it takes along must be picklable.
        make_application = functools.partial(_worker_application, sources, settings, overseer.path, overseer.token)
        options = _server_options(settings)
        config = _WorkerConfig(make_application, factory=True, workers=settings.workers, **options)
        applied.follow(config)
        workers = _Workers(config, [config.bind_socket()], overseer)
        workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        raise PowerstripError("a worker could not start; its log line says why")


def _worker_application(sources: Sources, settings: ServerSettings, path: str, token: str) -> Dispatcher:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the process that watches over the workers tells them to reload
    connection, snapshot = join(path, token)
    config = read_config(*sources, files=KeptFiles(snapshot.contents))
    configure_logging(config.logging, discover_plugins().packages)
    applied = _LiveSettings()
    supervisor = Supervisor(*sources, first=snapshot, listens_with=settings, on_import=_set_code_aside, on_swap=applied)

    @asynccontextmanager
    async def while_serving() -> AsyncGenerator[None]:
        with _drain_on_signals(supervisor):
            link = asyncio.create_task(Worker(supervisor).serve(connection), name="powerstrip:worker")
            try:
                yield
            finally:
                link.cancel()
                await asyncio.wait([link])

    return _WorkerDispatcher(applied, supervisor, _log_failure, while_serving)


def _set_code_aside() -> None:
    """Spare the garbage collector what stays in memory as long as the process.

    A full collection stops all threads for as long as it looks at all objects, and each reload brings the next one
    nearer. Four of five objects belong to imported code.
    """
    gc.freeze()


class _WorkerDispatcher(Dispatcher):
    """A dispatcher that is made before the config of its server is whole."""

    def __init__(self, applied: "_LiveSettings", *arguments: Any) -> None:
        super().__init__(*arguments)
        self.applied = applied


class _WorkerConfig(ServerConfig):
    """The config of a worker's server, which tells the dispatcher that it has made of itself."""

    def load(self) -> None:
        super().load()
        if isinstance(self.loaded_app, _WorkerDispatcher):
            self.loaded_app.applied.follow(self)


def _log_failure(error: Exception) -> None:
    logger.error("the worker can't serve: %s", error)


def _control_path(sources: Sources, settings: ServerSettings) -> Path | None:
    try:
        return control_path(sources[0], settings.control)
    except ControlError as error:
        logger.warning("`powerstrip reload` and `status` can't reach this server: %s", error)
        return None


class _LiveSettings:
    """Applies what a new generation's config says of logging and of connections that come from then on."""

    def __init__(self) -> None:
        self._server: ServerConfig | None = None
        self._logging: LoggingSettings | None = None

    def follow(self, server: ServerConfig) -> None:
        self._server = server

    def __call__(self, config: Config) -> None:
        if self._logging not in (None, config.logging):
            configure_logging(config.logging, discover_plugins().packages)
        self._logging = config.logging
        if self._server is not None:
            for name, value in _connection_settings(config.server).items():
                setattr(self._server, name, value)


def _connection_settings(settings: ServerSettings) -> dict[str, Any]:
    """What uvicorn looks up for each new connection, or when it stops."""
    return {
        "header_timeout": settings.header_timeout,
        "max_header_size": settings.max_header_size,
        "limit_concurrency": settings.limit_concurrency,
        "ws_max_size": settings.max_message_size,
        "timeout_keep_alive": settings.keep_alive,
        "timeout_graceful_shutdown": settings.drain_timeout,
    }


def _server_options(settings: ServerSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "backlog": settings.backlog,
        "log_config": None,  # logging is ours
        "access_log": False,  # the tracing plugin writes a better one
        "proxy_headers": False,  # the edge plugin knows which proxies to trust
        "server_header": False,
        "ws_per_message_deflate": False,
        **_connection_settings(settings),
    }


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
    stopping: list[asyncio.Task[None]] = []  # nobody else keeps it from being collected

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        generation = supervisor.current
        if len(seen) > 1 or generation is None:
            stop_server(number, frame)
            stop_server(signal.SIGINT, frame)  # what uvicorn takes as "now", once it is stopping
            return
        generation.announce_drain()
        loop.call_soon_threadsafe(lambda: stopping.append(loop.create_task(stop_later(generation, number, frame))))

    async def stop_later(generation: Generation, number: int, frame: FrameType | None) -> None:
        await asyncio.sleep(generation.composition.config.server.drain_delay)
        # The server would end WebSockets itself, without a word about when to come back.
        await supervisor.only_brief(_GOODBYE_TIME)
        stop_server(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_server)


class _Workers(Multiprocess):
    """uvicorn's supervisor; a second signal ends the workers at once, and SIGHUP reloads them together."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], overseer: Overseer) -> None:
        super().__init__(config, sockets)
        self._overseer = overseer

    def handle_hup(self) -> None:
        self._overseer.hang_up()

    def join_all(self) -> None:
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                for process in self.processes:
                    process.process.kill()
            time.sleep(0.05)
        super().join_all()
