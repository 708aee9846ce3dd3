"""Requests per second under a real server."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.asgi_client import BROWSER_HEADERS
from benchmarks.distributions import write_config, write_distribution
from benchmarks.measurement import Section, Series, Table, interleave
from benchmarks.peers.powerstrip_configs import SHOP, with_features
from benchmarks.peers.shop import PREFIX
from benchmarks.sections.request_path import BARE, FLOOR, HAND_WIRED, LITESTAR, POWERSTRIP, ROUTES_ONLY

ROUNDS = 7
CONNECTIONS = 32
WARM_UP = 0.3
SECONDS = 1.5
START_TIMEOUT = 20.0

METHOD = f"""uvicorn with one worker on one core, the peers with the same options that `powerstrip serve` sets,
Powerstrip by `powerstrip serve` itself, with its limits on slow and large request heads. All servers are up, one is
asked at a time: {CONNECTIONS} connections from another process on another core, {ROUNDS} interleaved rounds of
{SECONDS} s. Latencies are those of a saturated server."""


def run() -> Section:
    """Measure all variants one at a time."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    latencies: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        trials = {}
        for name, command in _commands(folder).items():
            port = await stack.enter_async_context(_serving(folder, command))
            trials[name] = partial(_requests_per_second, port, latencies.setdefault(name, []))
        series = await interleave(ROUNDS, trials)
    title = "GET, a fixed path, answering a model"
    rates = Table(
        title=f"{title}: requests per second",
        unit="1/s",
        series=series,
        bases=[HAND_WIRED, BARE],
        better="higher",
        digits=0,
        plotted=True,
        floor=FLOOR,
    )
    tails = Table(
        title=f"{title}: 99th percentile of the time to an answer",
        unit="ms",
        series=[Series(name=name, samples=samples) for name, samples in latencies.items()],
        bases=[HAND_WIRED, BARE],
    )
    return Section(key="B", title="Request path, over sockets", method=METHOD, tables=[rates, tails])


def _commands(folder: Path) -> dict[str, list[str]]:
    """How each variant is started; the port is appended."""
    write_distribution(folder / "installed", "shop", "benchmarks.peers.shop:Shop")
    peer = [sys.executable, "-m", "benchmarks.serve_peer"]
    serve = [str(Path(sysconfig.get_path("scripts"), "powerstrip")), "serve", "--config"]
    return {
        FLOOR: [*peer, "floor"],
        BARE: [*peer, "bare"],
        HAND_WIRED: [*peer, "hand-wired"],
        LITESTAR: [*peer, "litestar"],
        POWERSTRIP: [*serve, str(write_config(folder / "features.yaml", with_features()))],
        ROUTES_ONLY: [*serve, str(write_config(folder / "routes.yaml", SHOP))],
    }


@asynccontextmanager
async def _serving(folder: Path, command: Sequence[str]) -> AsyncIterator[int]:
    port = _free_port()
    paths = os.pathsep.join((str(folder / "installed"), str(Path.cwd())))
    environment = {**os.environ, "PYTHONPATH": paths}
    process = await asyncio.create_subprocess_exec(*command, "--port", str(port), env=environment)
    try:
        await _listening(process, port)
        if len(_cores()) > 1:
            os.sched_setaffinity(process.pid, {_cores()[0]})
        yield port
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            process.terminate()
        await process.wait()


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


async def _requests_per_second(port: int, latencies: list[float]) -> float:
    head = b"".join(b"%b: %b\r\n" % (name.title(), value) for name, value in BROWSER_HEADERS)
    request = b"GET %b/featured HTTP/1.1\r\n%b\r\n" % (PREFIX.encode(), head)
    options = {
        "port": port,
        "request": request.hex(),
        "connections": CONNECTIONS,
        "warm-up": WARM_UP,
        "seconds": SECONDS,
        **({"core": _cores()[1]} if len(_cores()) > 1 else {}),
    }
    command = [sys.executable, "-m", "benchmarks.load_generator"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"the load generator failed:\n{process.stderr}")
    result = json.loads(process.stdout)
    latencies.append(result["p99_ms"])
    return float(result["rps"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _cores() -> list[int]:
    """The cores this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
