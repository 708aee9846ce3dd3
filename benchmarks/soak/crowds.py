"""Leaks, slow clients, and thousands that only stay: many clients of one worker."""

import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import httpx2

from benchmarks.soak.workers import Worker, install

AT_ONCE = 50
STALLED = 50
ROUNDS = 5
SLOWED = 1.2  # how much longer others may wait (99th percentile) because some read nothing
# What a process may hold more after a hundred thousand connections than after a thousand: pools and caches settle.
SPARE_KIB = 8_192
LIMITS = {"connections_per_address": 100_000, "connections": 100_000, "connections_per_user": 100_000}


@asynccontextmanager
async def _worker(**settings: Any) -> AsyncIterator[Worker]:
    with TemporaryDirectory(prefix="powerstrip-soak-") as folder:
        install(Path(folder))
        worker = Worker(Path(folder), 0, {"realtime": {"limits": LIMITS} | settings})
        try:
            await worker.start()
            yield worker
        finally:
            await worker.kill()


async def _state(worker: Worker) -> dict[str, int]:
    async with httpx2.AsyncClient(timeout=60) as http:
        found: dict[str, int] = (await http.get(f"{worker.url}/soak/state")).json()
    return found


async def soak_leak(connects: int) -> list[str]:
    """Connect and leave so often, half without a goodbye; memory, tasks and descriptors have to stay flat."""
    async with _worker() as worker:
        await _visit(worker, max(1_000, connects // 50))
        before = await _settled(worker)
        await _visit(worker, connects)
        after = await _settled(worker)
    print(f"  after a warm-up: {before}\n  after {connects} more: {after}")
    broken = [
        f"{name} grew from {before[name]} to {after[name]}"
        for name in ("tasks", "descriptors")
        if after[name] > before[name]
    ]
    if after["resident_kib"] > before["resident_kib"] + SPARE_KIB:
        broken.append(f"memory grew from {before['resident_kib']} to {after['resident_kib']} KiB")
    return broken


async def _settled(worker: Worker) -> dict[str, int]:
    state = await _state(worker)
    for _ in range(50):
        await asyncio.sleep(0.2)
        before, state = state, await _state(worker)
        if (before["tasks"], before["descriptors"]) == (state["tasks"], state["descriptors"]):
            break
    return state


async def _visit(worker: Worker, times: int) -> None:
    turns = iter(range(times))

    async def visit() -> None:
        for number in turns:
            reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
            writer.write(_handshake(number % 100))
            await reader.readuntil(b'"connected"')
            if number % 2:
                writer.write(b"\x88\x82\0\0\0\0\x03\xe8")  # a close frame, code 1000, masked with zeros
                await reader.read()
                writer.close()
            else:
                writer.transport.abort()

    await asyncio.gather(*(visit() for _ in range(AT_ONCE)))


def _handshake(user: int, path: str = "/ws?topics=room:soak") -> bytes:
    facts = {"id": f"u{user}", "name": "", "roles": [], "permissions": [], "session_id": None, "claims": {}}
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"X-Fake-Identity: {json.dumps(facts)}\r\n\r\n"
    ).encode()


async def soak_slow(clients: int) -> list[str]:
    """Stalled readers among good ones: what the process holds, and how long the others wait."""
    async with _worker(queue={"when_full": "drop_oldest"}) as worker, _crowd(worker, clients) as crowd:
        alone, beside = [], []
        before = await _state(worker)
        most = 0
        for _ in range(ROUNDS):
            alone.append(await _latency(worker, crowd))
            async with _stalled(worker):
                await _flood(worker)
                beside.append(await _latency(worker, crowd))
                most = max(most, (await _state(worker))["resident_kib"])
    ratio = median(one / other for one, other in zip(beside, alone, strict=True))
    grown = most - before["resident_kib"]
    print(f"  p99 alone {median(alone):.1f} ms, with {STALLED} stalled {median(beside):.1f} ms: ratio {ratio:.2f}")
    print(f"  memory grew by {grown} KiB: {grown / STALLED:.0f} KiB for each stalled reader")
    bound = STALLED * (1_024 + 256) + SPARE_KIB
    broken = [f"memory grew by {grown} KiB, more than {bound}"] if grown > bound else []
    if ratio > SLOWED:
        broken.append(f"the others wait {ratio:.2f} times as long")
    return broken


@asynccontextmanager
async def _stalled(worker: Worker) -> AsyncIterator[None]:
    """Clients that connect and then read nothing, with small buffers of their own."""
    writers = []
    for number in range(STALLED):
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        small.setblocking(False)
        await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", worker.port))
        reader, writer = await asyncio.open_connection(sock=small, limit=1_024)
        writer.write(_handshake(1_000 + number))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of a socket can be read
        writers.append(writer)
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def _flood(worker: Worker) -> None:
    """Enough for the stalled ones to have full queues. The others are not in that room."""
    async with httpx2.AsyncClient(timeout=60) as http:
        for number in range(1_500):
            params = {"topic": "room:soak", "number": number}
            await http.post(f"{worker.url}/soak/events", params=params)


async def _latency(worker: Worker, crowd: "asyncio.subprocess.Process") -> float:
    """The 99th percentile, in ms, of how long a broadcast takes until everybody has it."""
    times = []
    async with httpx2.AsyncClient(timeout=60) as http:
        for number in range(100):
            await _tell(crowd, "1")
            started = perf_counter()
            params = {"topic": "broadcast", "number": number + int(started * 1_000_000)}
            await http.post(f"{worker.url}/soak/events", params=params)
            await _hear(crowd)
            times.append((perf_counter() - started) * 1_000)
    return quantiles(times, n=100)[98]


@asynccontextmanager
async def _crowd(worker: Worker, clients: int) -> "AsyncIterator[asyncio.subprocess.Process]":
    where = ["--port", str(worker.port), "--clients", str(clients), "--identified", "--wait-for", '"connected"']
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "benchmarks.crowd", *where]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        await _hear(process)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _tell(process: "asyncio.subprocess.Process", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await _hear(process)


async def _hear(process: "asyncio.subprocess.Process") -> str:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the clients have ended")
    return line.decode()


async def soak_idle(clients: int, seconds: float) -> list[str]:
    """Thousands that only stay: none may be lost."""
    async with _worker() as worker, _crowd(worker, clients) as crowd:
        held = await _state(worker)
        print(f"  {clients} are connected: {held['resident_kib'] / 1024:.0f} MiB", flush=True)
        await asyncio.sleep(seconds)
        await _tell(crowd, "1")
        async with httpx2.AsyncClient(timeout=60) as http:
            await http.post(f"{worker.url}/soak/events", params={"topic": "broadcast", "number": 1_000_000})
        lost = json.loads(await _hear(crowd))["lost"]
    return [f"{lost} connections were lost"] if lost else []


async def soak_flood(connects: int) -> list[str]:
    """So many connects from one address that only has the usual places: refused by HTTP, and nothing piles up."""
    async with _worker(limits={}) as worker:
        await _attempt(worker, 500)
        before = await _settled(worker)
        statuses = await _attempt(worker, connects)
        after = await _settled(worker)
    print(f"  {statuses}\n  before: {before}\n  after: {after}")
    broken = [f"{name} grew" for name in ("tasks", "descriptors") if after[name] > before[name]]
    if after["resident_kib"] > before["resident_kib"] + SPARE_KIB:
        broken.append(f"memory grew from {before['resident_kib']} to {after['resident_kib']} KiB")
    if set(statuses) - {"101", "429"} or statuses["101"] > 200:
        broken.append(f"answers were {statuses}, and 200 places are there")
    return broken


async def _attempt(worker: Worker, connects: int) -> Counter[str]:
    """Connect and stay; gives how often which status was answered."""
    statuses: Counter[str] = Counter()
    turns, held = iter(range(connects)), []

    async def attempt() -> None:
        for number in turns:
            reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
            writer.write(_handshake(number))
            status = (await reader.readline()).split()[1].decode()
            statuses[status] += 1
            if status == "101":
                held.append(writer)
            else:
                writer.close()

    await asyncio.gather(*(attempt() for _ in range(AT_ONCE)))
    for writer in held:
        writer.transport.abort()
    return statuses
