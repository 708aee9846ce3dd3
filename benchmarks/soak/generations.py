"""The part `generations`: one process reloads 500 times, and has no more memory, tasks and descriptors afterwards."""

import argparse
import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.soak.reload_server import Server, running

PAUSES = 10  # looks at what the process holds, after equally many reloads each
MEMORY_GROWTH = 4.0  # MiB in the second half; what the allocator scatters, and nothing that each reload leaves behind
PATHS = ("/health", "/soak/marker", "/soak/counted", "/api/v1/users/me", "/openapi.json")

_LOOKS = 5  # a plugin that is at work just then has a task or a connection more


@dataclass(frozen=True)
class Held:
    """What a process holds. The memory is in MiB."""

    memory: float
    tasks: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.memory:.1f} MiB, {self.tasks} tasks, {self.descriptors} descriptors"


async def soak_generations(options: argparse.Namespace) -> list[str]:
    """Reload again and again; returns the promises that were broken."""
    stretch = max(1, options.generations // PAUSES)
    held: list[Held] = []
    with tempfile.TemporaryDirectory(prefix="ps-soak-") as folder, running(Path(folder), 1, accounts=0) as server:
        headers = {"Authorization": f"Bearer {server.token}"}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=60) as api:
            for pause in range(PAUSES):
                for number in range(pause * stretch + 1, (pause + 1) * stretch):
                    await _reload(server, _sections(server, number))
                    for path in PATHS:
                        (await api.get(path)).raise_for_status()
                await _reload(server, _sections(server, 0))
                held.append(await _look(server, api))
                print(f"  after {(pause + 1) * stretch} reloads {held[-1]}", flush=True)
    return broken_promises(held)


def broken_promises(held: list[Held]) -> list[str]:
    """What got more in the second half of the looks."""
    first, second = held[: len(held) // 2], held[len(held) // 2 :]
    found = []
    if second[-1].memory - first[-1].memory > MEMORY_GROWTH:
        found.append(f"memory grew from {first[-1].memory:.1f} to {second[-1].memory:.1f} MiB in the second half")
    for name in ("tasks", "descriptors"):
        before, after = (max(getattr(one, name) for one in half) for half in (first, second))
        if after > before:
            found.append(f"{name} grew from {before} to {after}")
    return found


def _sections(server: Server, number: int) -> dict[str, Any]:
    """The plugins of one generation: all of them are switched off now and then, and all are restarted."""
    plugins = server.sections(number)
    plugins["database"] |= {"pool_size": 1, "max_overflow": 0, "pool_timeout": 30 + number // 10 % 2}
    for name, every in (("exports", 5), ("realtime", 7)):
        if number % every == 1:
            del plugins[name]
    return plugins


async def _reload(server: Server, plugins: dict[str, Any]) -> None:
    server.write(plugins)
    report = await server.reload()
    if not report["ok"]:
        raise RuntimeError(report["reason"])


async def _look(server: Server, api: httpx2.AsyncClient) -> Held:
    while (await server.status())["retiring"]:  # noqa: ASYNC110 - it tells only who asks
        await asyncio.sleep(0.1)
    looks = []
    for _ in range(_LOOKS):
        looks.append((await api.get("/soak/state")).raise_for_status().json())
        await asyncio.sleep(0.2)
    return Held(
        memory=min(look["resident_kib"] for look in looks) / 1024,
        tasks=min(look["tasks"] for look in looks),
        descriptors=min(look["descriptors"] for look in looks),
    )
