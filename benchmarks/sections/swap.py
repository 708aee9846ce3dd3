"""What it costs that the application can be swapped at any moment."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.asgi_client import BROWSER_HEADERS
from benchmarks.distributions import write_config, write_distribution
from benchmarks.measurement import Section, Series, Table, Target, hold, interleave
from benchmarks.peers.powerstrip_configs import with_features
from benchmarks.peers.shop import PREFIX

PAIRS = 9
ROUNDS = 15
CONNECTIONS = 16
SECONDS = 0.3
START_TIMEOUT = 30.0

METHOD = f"""Two servers with the same plugins, the same limits and one worker: `powerstrip serve`, whose `Dispatcher`
leases the current generation to each request, and uvicorn with that application alone, which could never be replaced.
{PAIRS} pairs of processes, for a process keeps the luck of its hash seed and its places in memory, some percent, as
long as it lives; {ROUNDS} interleaved rounds of {SECONDS} s with {CONNECTIONS} connections for each pair. What is
compared is the server's processor time for a request, so that what else the machine does takes no part; its reciprocal
are the requests that a core can answer in a second."""

DIRECT, DISPATCHED = "the application served directly", "through the Dispatcher"


def run() -> Section:
    """Measure both."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    write_distribution(folder / "installed", "shop", "benchmarks.peers.shop:Shop")
    config = str(write_config(folder / "features.yaml", with_features()))
    commands = {
        DIRECT: [sys.executable, "-m", "benchmarks.serve_application", "--config", config],
        DISPATCHED: [sys.executable, "-m", "powerstrip", "serve", "--config", config],
    }
    pairs = [await _measure_pair(folder, commands) for _ in range(PAIRS)]
    series = [_joined(same) for same in zip(*pairs, strict=True)]
    table = Table(title="A request: processor time of the server", unit="µs", series=series, bases=[DIRECT])
    return Section(key="S", title="The price of live reload", method=METHOD, tables=[table], targets=_targets(table))


async def _measure_pair(folder: Path, commands: Mapping[str, Sequence[str]]) -> list[Series]:
    """With two servers that have just started."""
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(_serving(folder, line)) for name, line in commands.items()}
        trials = {name: partial(_microseconds, pid, port) for name, (pid, port) in servers.items()}
        await interleave(1, trials)
        return await interleave(ROUNDS, trials)


def _joined(same: Sequence[Series]) -> Series:
    return Series(name=same[0].name, samples=[sample for series in same for sample in series.samples])


def _targets(table: Table) -> list[Target]:
    return [hold("Through the Dispatcher, beside the application itself", table, DISPATCHED, DIRECT, ratio=1 / 0.97)]


async def _microseconds(pid: int, port: int) -> float:
    """What one request costs the server."""
    head = b"".join(b"%b: %b\r\n" % (name.title(), value) for name, value in BROWSER_HEADERS)
    request = b"GET %b/featured HTTP/1.1\r\n%b\r\n" % (PREFIX.encode(), head)
    options = {"port": port, "request": request.hex(), "connections": CONNECTIONS, "warm-up": 0, "seconds": SECONDS}
    command = [sys.executable, "-m", "benchmarks.load_generator"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    before = _processor_time(pid)
    process = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    spent = _processor_time(pid) - before
    if process.returncode:
        raise RuntimeError(f"the load generator failed:\n{process.stderr}")
    requests = json.loads(process.stdout)["rps"] * SECONDS
    return spent / requests / 1000


def _processor_time(pid: int) -> int:
    """Nanoseconds; of the kernel's scheduler, since what `times()` tells comes in steps of ten milliseconds."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


@asynccontextmanager
async def _serving(folder: Path, command: Sequence[str]) -> AsyncIterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder / "installed"), str(Path.cwd())))}
    process = await asyncio.create_subprocess_exec(*command, "--port", str(port), env=environment)
    try:
        await _listening(process, port)
        yield process.pid, port
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT):
        while process.returncode is None:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
    raise RuntimeError("a server ended before it listened")
