"""What an export costs the process that serves it: memory, and the waiting of others."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from benchmarks.exports_proof.site import Site

FORMATS = ("csv", "excel", "ndjson", "json", "parquet")
SLOWLY = ("csv", "parquet")
QUIET = 3.0
PAUSE = 0.005


@dataclass
class Measured:
    """One export: times in seconds, the peak of the resident memory in MB."""

    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    first_byte: float = 0.0
    peak: float = 0.0
    health_p99: float = 0.0
    quiet_p99: float = 0.0


Work = Callable[[Site, str, Measured, float], Awaitable[None]]


@dataclass(frozen=True)
class Piece:
    """Something to measure. What it costs is held against what the piece `beside` costs with few rows."""

    name: str
    kind: str
    work: Work
    beside: str


async def measure(site: Site, piece: Piece, slow_for: float) -> Measured:
    """One export, in a process that has done nothing else yet."""
    await site.restart()
    measured = Measured()
    async with site.client() as client:
        quiet = await _health(client, asyncio.create_task(asyncio.sleep(QUIET)))
        _forget_peaks(site.pids)
        started = perf_counter()
        beside = await _health(client, asyncio.ensure_future(piece.work(site, piece.kind, measured, slow_for)))
        measured.seconds = perf_counter() - started
    measured.peak = sum(_peak(pid) for pid in site.pids)
    measured.quiet_p99, measured.health_p99 = quiet, beside
    return measured


async def _health(client, work: "asyncio.Future[None]") -> float:
    """The 99th percentile of the time that /health takes until the work is done."""
    times = []
    while not work.done():
        started = perf_counter()
        (await client.get("/health")).raise_for_status()
        times.append(perf_counter() - started)
        await asyncio.sleep(PAUSE)
    await work
    return quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else 0.0


def _forget_peaks(pids: list[int]) -> None:
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def _stream(site: Site, kind: str, measured: Measured, _slow_for: float) -> None:
    # curl: a reader in this process would compete with the one that asks for /health
    command = ["curl", "-s", "-f", "-o", "/dev/null", "-w", "%{time_starttransfer} %{size_download}"]
    address = f"{site.served.base_url}/api/v1/exports/users?format={kind}"
    header = f"Authorization: {site.headers['Authorization']}"
    process = await asyncio.create_subprocess_exec(*command, "-H", header, address, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"curl ended with {process.returncode}")
    first_byte, size = output.split()
    measured.first_byte, measured.bytes = float(first_byte), int(size)
    measured.rows = await _count(site)


async def _job(site: Site, kind: str, measured: Measured, _slow_for: float) -> None:
    async with site.client() as client:
        job = await site.end_of(client, await site.job(client, kind))
    if job["status"] != "done":
        raise RuntimeError(f"the job ended as {job}")
    measured.rows, measured.bytes = job["rows"], job["bytes"]


async def _slow_stream(site: Site, kind: str, measured: Measured, slow_for: float) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        # Without it the kernel would take megabytes on the client's behalf.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", site.served.port))
        head = (
            f"GET /api/v1/exports/users?format={kind} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {site.headers['Authorization']}\r\n\r\n"
        )
        started = perf_counter()
        await loop.sock_sendall(connection, head.encode())
        while perf_counter() - started < slow_for:
            measured.bytes += len(await loop.sock_recv(connection, 1_024))
            measured.first_byte = measured.first_byte or perf_counter() - started
            await asyncio.sleep(1)


async def _count(site: Site) -> int:
    async with site.client() as client:
        return int((await client.get("/api/v1/users/?size=1")).json()["total"])


PIECES = {
    piece.name: piece
    for piece in (
        *(Piece(f"stream of {kind}", kind, _stream, f"stream of {kind}") for kind in FORMATS),
        *(Piece(f"job of {kind}", kind, _job, f"job of {kind}") for kind in FORMATS),
        *(Piece(f"slow stream of {kind}", kind, _slow_stream, f"stream of {kind}") for kind in SLOWLY),
    )
}
