"""What it takes to tell a thousand clients something, and to keep them connected."""

import asyncio
import json
import os
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.distributions import write_distribution
from benchmarks.measurement import Section, Table, Target, hold, interleave

RAW = "websockets, broadcast()"
OURS = "Powerstrip, realtime"
SOCKETIO = "python-socketio"
IDLE = "uvicorn, idle WebSockets"

CLIENTS = 1_000
IDLE_CLIENTS = 2_000
BROADCASTS = 150
WARM_UP = 5  # broadcasts before the first round
ROUNDS = 5
START_TIMEOUT = 30.0

METHOD = f"""{CLIENTS} WebSockets from one other process, that counts messages and looks at nothing; {BROADCASTS}
broadcasts of 207 bytes, back to back, {ROUNDS} interleaved rounds; all servers are up, one is asked at a time, each on
one core, the clients on another. `websockets` runs in uvloop, as uvicorn does. Powerstrip is what `powerstrip serve`
runs, and does more than asked: each event gets a position, goes into the history and is checked against what each
connection may hear. Memory is what a server's resident set grows by with {IDLE_CLIENTS} connections, for each."""


@dataclass
class Server:
    """A server that is told on its standard input how often to broadcast."""

    process: asyncio.subprocess.Process
    port: int

    def broadcast(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n".encode())

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_kib(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass
class Crowd:
    """The clients of one server."""

    process: asyncio.subprocess.Process

    async def line(self) -> str:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the clients have ended")
        return line.decode().strip()

    async def count(self, server: Server, broadcasts: int) -> float:
        """Seconds until everybody has got all broadcasts."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{broadcasts}\n".encode())
        await self.line()
        server.broadcast(broadcasts)
        result = json.loads(await self.line())
        if result["lost"]:
            raise RuntimeError(f"{result['lost']} connections were lost")
        return float(result["seconds"])


PROTOCOLS: dict[str, list[str]] = {
    RAW: ["--path", "/"],
    OURS: ["--identified", "--wait-for", '"connected"'],
    SOCKETIO: ["--path", "/socket.io/?EIO=4&transport=websocket", "--first", "40", "--wait-for", "40{"],
    IDLE: ["--identified"],  # the same handshake: what a client sends is kept as long as it stays
}


def run() -> Section:
    """Measure all peers."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    commands = _commands(folder)
    cpu: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        trials = {}
        for name in (RAW, OURS, SOCKETIO):
            server = await stack.enter_async_context(_serving(folder, commands[name]))
            crowd = await stack.enter_async_context(_crowd(server, CLIENTS, PROTOCOLS[name]))
            await crowd.count(server, WARM_UP)
            trials[name] = partial(_microseconds_per_message, server, crowd, cpu.setdefault(name, []))
        series = await interleave(ROUNDS, trials)
    times = Table(
        title="Time of a delivered message, until all clients have got all",
        unit="µs",
        series=series,
        bases=[RAW],
        digits=2,
    )
    work = times.model_copy(
        update={
            "title": "Processor time of the server for a delivered message",
            "series": [entry.model_copy(update={"samples": cpu[entry.name]}) for entry in series],
        }
    )
    memory = Table(
        title="Memory of an idle connection",
        unit="KiB",
        series=await interleave(3, {name: partial(_kib, folder, commands[name], name) for name in (IDLE, OURS)}),
        bases=[IDLE],
    )
    return Section(
        key="W", title="Realtime", method=METHOD, tables=[times, work, memory], targets=_targets(times, work, memory)
    )


def _targets(times: Table, work: Table, memory: Table) -> list[Target]:
    return [
        hold("a delivered message, beside `broadcast()`: processor time", work, OURS, RAW, ratio=1 / 0.8),
        hold("and beside python-socketio: processor time", work, OURS, SOCKETIO, ratio=1 / 5),
        hold("delivered messages/s are at least 0.8 of `broadcast()`: time", times, OURS, RAW, ratio=1 / 0.8),
        hold("and at least 5 times those of python-socketio: time", times, OURS, SOCKETIO, ratio=1 / 5),
        hold("memory of an idle connection, beside uvicorn's own", memory, OURS, IDLE, ratio=1.3),
    ]


async def _microseconds_per_message(server: Server, crowd: Crowd, cpu: list[float]) -> float:
    before = server.cpu_seconds
    seconds = await crowd.count(server, BROADCASTS)
    messages = CLIENTS * BROADCASTS
    cpu.append((server.cpu_seconds - before) / messages * 1e6)
    return seconds / messages * 1e6


async def _kib(folder: Path, command: Sequence[str], name: str) -> float:
    async with _serving(folder, command) as server:
        async with _crowd(server, 50, PROTOCOLS[name]):
            pass  # what is made once
        await asyncio.sleep(1.0)
        before = server.resident_kib
        async with _crowd(server, IDLE_CLIENTS, PROTOCOLS[name]):
            await asyncio.sleep(1.0)
            return (server.resident_kib - before) / IDLE_CLIENTS


def _commands(folder: Path) -> dict[str, list[str]]:
    """How each server is started; the port is appended."""
    write_distribution(folder / "installed", "fake_identity", "powerstrip.testing.identity:FakeIdentity")
    write_distribution(folder / "installed", "publisher", "benchmarks.peers.realtime_servers:Publisher")
    limits = {"connections_per_address": 100_000, "connections": 100_000}
    plugins = {"fake_identity": True, "realtime": {"limits": limits}, "publisher": True}
    config = folder / "realtime.yaml"
    config.write_text(yaml.safe_dump({"logging": {"level": "error"}, "plugins": plugins}), encoding="utf-8")
    peer = [sys.executable, "-m", "benchmarks.peers.realtime_servers"]
    return {
        RAW: [*peer, "raw"],
        SOCKETIO: [*peer, "socketio"],
        IDLE: [*peer, "idle"],
        OURS: [str(Path(sysconfig.get_path("scripts"), "powerstrip")), "serve", "--config", str(config)],
    }


@asynccontextmanager
async def _serving(folder: Path, command: Sequence[str]) -> AsyncIterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    paths = os.pathsep.join((str(folder / "installed"), str(Path.cwd())))
    process = await asyncio.create_subprocess_exec(
        *command, "--port", str(port), env={**os.environ, "PYTHONPATH": paths}, stdin=asyncio.subprocess.PIPE
    )
    try:
        await _listening(process, port)
        _pin(process.pid, 0)
        yield Server(process, port)
    finally:
        await _end(process)


@asynccontextmanager
async def _crowd(server: Server, clients: int, options: Sequence[str]) -> AsyncIterator[Crowd]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.crowd",
        "--port",
        str(server.port),
        "--clients",
        str(clients),
        *options,
    ]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    _pin(process.pid, 1)
    crowd = Crowd(process)
    try:
        if await crowd.line() != "connected":
            raise RuntimeError("the clients could not connect")
        yield crowd
    finally:
        await _end(process)


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
    raise RuntimeError("a server ended before it listened")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        process.kill()
    await process.wait()


def _pin(pid: int, core: int) -> None:
    cores: list[Any] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core]})
