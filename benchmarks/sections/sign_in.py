"""Signing in under a real server: how near it comes to hashing alone, and what all others notice of it."""

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx2
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from benchmarks.crash.served import Served
from benchmarks.measurement import Section, Series, Table, hold, interleave
from benchmarks.peers.accounts import PASSWORD
from powerstrip import let_others_go_first
from powerstrip_users.passwords import NICENESS
from powerstrip_users.settings import PasswordSettings

ROUNDS = 7
SECONDS = 4.0
AT_ONCE = 16
PAUSE = 0.004  # between two looks at /health

BARE = "Argon2id in a bare pool"
SIGN_INS = "sign-ins"
IDLE, BESIDE, BUSY = "nobody signs in", "the bare pool hashes beside it", f"{AT_ONCE} sign in at once"

METHOD = f"""`powerstrip serve` with tracing, health, database (SQLite) and users, all defaults save that nobody is
locked out; {AT_ONCE} clients in another process sign in again and again. The bare pool is Python's own, with as many
threads as the plugin has and of the same priority, and checks the same password at the same cost. A connection asks for
/health every {PAUSE * 1000:g} ms all the time: while people sign in, while the bare pool checks passwords, and while
nobody does either. So asking costs both alike. {ROUNDS} rounds of {SECONDS:g} s."""


def run() -> Section:
    """Measure all variants one at a time."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    lenient = {"account_failures": 1_000, "client_failures": 100_000}
    plugins = {"health": True, "tracing": {"access_log": False}, "users": {"sign_in": lenient}}
    served = Served(folder, {**plugins, "database": {"url": f"sqlite+aiosqlite:///{folder}/powerstrip.db"}})
    tails: dict[str, list[float]] = {IDLE: [], BESIDE: [], BUSY: []}

    async def sign_ins() -> float:
        rate, tail = await asyncio.gather(_sign_ins(served.base_url), _tail(served.port))
        tails[BUSY].append(tail)
        return rate

    async def idle() -> float:
        tails[IDLE].append(await _tail(served.port))
        return tails[IDLE][-1]

    alone = ProcessPoolExecutor(1, get_context("spawn"))

    async def bare() -> float:
        hashing = asyncio.get_running_loop().run_in_executor(alone, _check_alone)
        rate, tail = await asyncio.gather(hashing, _tail(served.port))
        tails[BESIDE].append(tail)
        return rate

    await served.start()
    try:
        await _sign_up(served.base_url)
        rounds = await interleave(ROUNDS, {BARE: bare, SIGN_INS: sign_ins, IDLE: idle})
    finally:
        alone.shutdown()
        with suppress(ProcessLookupError):
            await served.stop()
    return _section(rounds[:2], tails)


def _section(rates: list[Series], tails: Mapping[str, list[float]]) -> Section:
    throughput = Table(title="Passwords checked", unit="1/s", series=rates, bases=[BARE], better="higher", digits=2)
    series = [Series(name=name, samples=samples) for name, samples in tails.items()]
    health = Table(title="99th percentile of GET /health", unit="ms", series=series, bases=[IDLE], digits=2)
    targets = [
        hold("checks in a bare pool beside sign-ins (1.11 is 0.9 of its rate)", throughput, BARE, SIGN_INS, ratio=1.11),
        hold("p99 of /health while people sign in, beside its idle p99", health, BUSY, IDLE, ratio=5),
    ]
    return Section(key="V", title="Signing in", method=METHOD, tables=[throughput, health], targets=targets)


def _check_alone() -> float:
    """Checks a second, with the settings of the plugin."""
    settings = PasswordSettings()
    hasher = PasswordHash((Argon2Hasher(settings.iterations, settings.memory_kib, settings.parallelism),))
    stored = hasher.hash(PASSWORD)
    threads = settings.threads or min(os.cpu_count() or 1, 4)
    started = perf_counter()

    def check_on(_thread: int) -> int:
        done = 0
        while perf_counter() < started + SECONDS:
            hasher.verify(PASSWORD, stored)
            done += 1
        return done

    with ThreadPoolExecutor(threads, "", let_others_go_first, (NICENESS,)) as pool:
        done = sum(pool.map(check_on, range(threads)))
    return done / (perf_counter() - started)


async def _sign_up(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=60) as client:
        for number in range(AT_ONCE):
            form = {"email": f"p{number}@example.com", "username": f"person{number}", "terms_accepted": True}
            passwords = {"password": PASSWORD, "confirm_password": PASSWORD}
            (await client.post("/api/v1/users/", json={**form, **passwords})).raise_for_status()


async def _sign_ins(base_url: str) -> float:
    """Sign-ins a second."""
    done, started, ends = 0, perf_counter(), perf_counter() + SECONDS

    async def sign_in_on(client: httpx2.AsyncClient, name: str) -> None:
        nonlocal done
        while perf_counter() < ends:
            answer = await client.post("/api/v1/auth/token", data={"username": name, "password": PASSWORD})
            answer.raise_for_status()
            done += 1

    async with httpx2.AsyncClient(base_url=base_url, timeout=60) as client:
        await asyncio.gather(*(sign_in_on(client, f"person{number}") for number in range(AT_ONCE)))
    return done / (perf_counter() - started)


async def _tail(port: int) -> float:
    """The 99th percentile of the time to an answer, in milliseconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies, ends = [], perf_counter() + SECONDS
    while perf_counter() < ends:
        started = perf_counter()
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        latencies.append((perf_counter() - started) * 1000)
        await asyncio.sleep(PAUSE)
    writer.close()
    return quantiles(latencies, n=100, method="inclusive")[98]
