"""Served processes that can be killed, and a plugin in them that publishes what it is asked to."""

import asyncio
import gc
import os
import random
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from fastapi import APIRouter, Depends, Request

from benchmarks.distributions import write_distribution
from powerstrip import Event, EventBus, EventLog, Plugin, PluginSettings, Routes, hookimpl, public, services_of
from powerstrip_realtime import Topic
from powerstrip_redis.event_log import RedisEventLog

START_LIMIT = 60.0

router = APIRouter(dependencies=[Depends(public)])


@router.post("/soak/events")
async def publish(request: Request, topic: str, number: int) -> dict[str, int]:
    """Publish a numbered event; answers when the log has it, for one that waits in a process may die with it."""
    services = services_of(request)
    await services[EventBus].publish(Event(topic, "soak", number, id=f"{topic}-{number}"))
    log = services.get(EventLog)
    while isinstance(log, RedisEventLog) and log.waiting:  # noqa: ASYNC110 - the log has nothing to wait for
        await asyncio.sleep(0.01)
    return {"number": number}


@router.get("/soak/state")
async def state() -> dict[str, int]:
    """What a leak would make grow."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_kib": _resident_kib(),
    }


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


class Soak(Plugin[PluginSettings]):
    """Publishes numbered events, and tells what the process holds."""

    wants = ("realtime",)

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router, version=None)]

    @hookimpl(optionalhook=True)
    def register_topics(self) -> Sequence[Topic]:
        return [Topic("room:{name}", "A room.", may_subscribe=lambda _identity, _parameters: True)]


class Worker:
    """One `powerstrip serve`, always at the same port."""

    def __init__(self, folder: Path, number: int, plugins: dict[str, Any]) -> None:
        self._folder = folder
        self.port = _free_port()
        self._config = folder / f"worker-{number}.yaml"
        document = {
            "server": {"port": self.port, "drain_timeout": 1, "reload": "off"},
            "logging": {"level": "error"},
            "plugins": {"fake_identity": True, "soak": True, **plugins},
        }
        self._config.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it; returns when it answers."""
        command = [sys.executable, "-m", "powerstrip", "serve", "--config", str(self._config)]
        paths = os.pathsep.join((str(self._folder / "installed"), str(Path.cwd())))
        self.process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "PYTHONPATH": paths})
        async with asyncio.timeout(START_LIMIT):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    if self.process.returncode is not None:
                        raise RuntimeError("a worker ended before it listened") from None
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        """End it without a goodbye."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


def _free_port() -> int:
    """One below those that Linux gives to clients, so that nobody has it when the worker comes back."""
    while True:
        port = random.randrange(22_000, 32_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


def install(folder: Path) -> None:
    """Make the plugins of the soak known to processes that have `folder/installed` on their path."""
    write_distribution(folder / "installed", "fake_identity", "powerstrip.testing.identity:FakeIdentity")
    write_distribution(folder / "installed", "soak", "benchmarks.soak.workers:Soak")
