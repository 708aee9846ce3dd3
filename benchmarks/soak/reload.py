"""The part `reload`: the config changes every half second, and nobody notices who has nothing to do with it."""

import argparse
import asyncio
import csv
import io
import re
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2

from benchmarks.soak.audience import Listeners, complaints
from benchmarks.soak.reload_server import ACCOUNTS, COUNTED, Server, running
from benchmarks.soak.traffic import Answer, Client, Traffic, drive, sustained

SOCKETS, STREAMS = 100, 20
LINE = 200  # characters of an account in a download, roughly
STRETCH = 10.0  # seconds with reloads at a time
QUIET_SHARE = 0.5  # of that without any, before each
LONGEST_JOB = 120.0  # seconds
WORST_P99 = 3.0  # times that of quiet time
PATHS = ("/health", "/soak/marker", "/soak/counted", "/api/v1/users/me", "/soak/marker")

_REMAINING = re.compile(r'"counted";r=(\d+)')


async def soak_reload(options: argparse.Namespace) -> list[str]:
    """Reload under load, once with each number of workers; returns the promises that were broken."""
    broken: list[str] = []
    for workers in options.workers:
        print(f"  with {workers} {'worker' if workers == 1 else 'workers'}", flush=True)
        broken += await _soak(options, workers)
    return broken


async def _soak(options: argparse.Namespace, workers: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="ps-soak-") as folder, running(Path(folder), workers) as server:
        client = Client(server.port, server.token)
        listeners = Listeners(server.port, server.token)
        try:
            return await _Soak(options, server, client, listeners).run()
        finally:
            await listeners.close()
            client.close()


class _Soak:
    def __init__(self, options: argparse.Namespace, server: Server, client: Client, listeners: Listeners) -> None:
        self._options = options
        self._server = server
        self._client = client
        self._listeners = listeners
        self._counted = 0
        self._sent = 0
        self._longest = 0.0
        self._refused = 0
        self._is_over = False
        self._broken: list[str] = []
        self._api = httpx2.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, timeout=60
        )

    async def run(self) -> list[str]:
        options = self._options
        await self._reloads(range(10), pause=0.0)  # every plugin has run once, and what is made once is made
        rate = min(options.requests, await sustained(self._client, PATHS, 16, 5.0) / 2)
        self._counted = await self._calls_counted()
        await self._listeners.open(SOCKETS, STREAMS)
        self._client.close()
        await asyncio.sleep(1)
        memory, descriptors = self._server.memory(), self._server.descriptors()
        others = [asyncio.create_task(self._download(options.seconds)), asyncio.create_task(self._export_jobs())]
        publishing = asyncio.create_task(self._publish())
        quiet, busy = await self._alternate(rate)
        self._is_over = True  # all come to an end by themselves: what was sent has to be known
        await asyncio.gather(publishing, *others)
        await self._judge(rate, quiet, busy)
        self._client.close()
        await self._api.aclose()
        await asyncio.sleep(1)  # the server notices that they are gone
        grown, opened = self._server.memory() - memory, self._server.descriptors() - descriptors
        print(f"  memory {memory:.0f} MiB, grew by {grown:.0f}; {descriptors} descriptors, {opened:+d}")
        return self._broken

    async def _alternate(self, rate: float) -> tuple[Traffic, Traffic]:
        """Stretches with reloads, and quiet ones between them: what else the machine does disturbs both alike."""
        options = self._options
        stretches = max(1, round(options.seconds / STRETCH))
        seconds, share = options.seconds / stretches, options.reloads / stretches
        quiet, busy = Traffic(), Traffic()
        for number in range(stretches):
            quiet.add(await self._drive(rate, seconds * QUIET_SHARE))
            driving = asyncio.create_task(self._drive(rate, seconds))
            steps = range(10 + round(number * share), 10 + round((number + 1) * share))
            await self._reloads(steps, pause=seconds / len(steps))
            busy.add(await driving)
        print(f"  {options.reloads} reloads, the longest {self._longest:.2f} s; {self._refused} wrong ones refused")
        return quiet, busy

    async def _judge(self, rate: float, calm: Traffic, busy: Traffic) -> None:
        await self._listeners.until_heard(self._sent)
        self._broken += calm.failures + busy.failures
        ratio = busy.p99 / calm.p99
        print(f"  {rate:.0f} requests/s: {sum(busy.statuses.values())} during reloads, {dict(busy.statuses)}")
        print(f"  p50 {calm.p50:.1f} ms quiet, {busy.p50:.1f} ms during reloads")
        print(f"  p99 {calm.p99:.1f} ms quiet, {busy.p99:.1f} ms during reloads: {ratio:.1f} times")
        if ratio > WORST_P99:
            self._broken.append(f"p99 is {ratio:.1f} times that of quiet time")
        heard = self._listeners.heard
        discontent = complaints(heard, self._sent)
        print(f"  {len(heard)} connections, {self._sent} events each, {len(discontent)} complaints")
        self._broken += discontent
        counted = await self._calls_counted() - 1
        print(f"  calls counted {counted}, made {self._counted}")
        if counted != self._counted:
            self._broken.append(f"the limiter counted {counted} of {self._counted} calls")

    async def _drive(self, rate: float, seconds: float) -> Traffic:
        return await drive(self._client, PATHS, rate, seconds, self._complaint)

    def _complaint(self, answer: Answer) -> str | None:
        if answer.status != 200:
            return f"{answer.status} {answer.body[:200]!r}"
        if answer.path == "/soak/counted":
            self._counted += 1
        if answer.path.startswith("/soak") and answer.headers.get("x-marker", "").encode() != answer.body:
            return f"generation {answer.headers.get('x-marker')} around generation {answer.body!r}"
        return None

    async def _reloads(self, steps: range, pause: float) -> None:
        began = perf_counter()
        for number in steps:
            await asyncio.sleep(max(0.0, began + (number - steps.start) * pause - perf_counter()))
            is_wrong = number % 7 == 3
            self._server.write("plugins: [" if is_wrong else self._server.sections(number))
            started = perf_counter()
            report = await self._server.reload()
            self._longest = max(self._longest, perf_counter() - started)
            self._refused += not report["ok"]
            if report["ok"] == is_wrong:
                self._broken.append(f"reload {number}: {report.get('reason', 'a wrong config is served')}")

    async def _publish(self) -> None:
        while not self._is_over:
            data = {"title": "Number", "everyone": True, "data": {"number": self._sent}}
            answer = await self._api.post("/api/v1/notifications", json=data)
            if answer.status_code != 201:
                self._broken.append(f"a notification was answered {answer.status_code}: {answer.text[:200]}")
                return
            self._sent += 1
            await asyncio.sleep(0.2)

    async def _calls_counted(self) -> int:
        """What the limiter has counted, this call included."""
        answer = await self._client.get("/soak/counted")
        found = _REMAINING.search(answer.headers.get("ratelimit", ""))
        return COUNTED - int(found[1]) if found else -1

    async def _download(self, seconds: float) -> None:
        """A download that is read slowly, for as long as there are reloads."""
        text = io.StringIO()
        async with self._api.stream("GET", "/api/v1/exports/users?format=csv") as answer:
            if answer.status_code != 200:
                self._broken.append(f"the download was answered {answer.status_code}")
                return
            try:
                async for piece in answer.aiter_text():
                    text.write(piece)
                    await asyncio.sleep(seconds * len(piece) / (ACCOUNTS * LINE))
            except httpx2.HTTPError as error:
                self._broken.append(f"the download broke off: {error!r}")
                return
        rows = sum(1 for _ in csv.reader(io.StringIO(text.getvalue()))) - 1
        print(f"  a download of {rows} rows")
        if rows != ACCOUNTS + 1:
            self._broken.append(f"the download has {rows} of {ACCOUNTS + 1} rows")

    async def _export_jobs(self) -> None:
        done = 0
        while not self._is_over:
            answer = await self._api.post("/api/v1/exports", json={"source": "users", "format": "csv"})
            if answer.status_code != 202:
                self._broken.append(f"an export job was answered {answer.status_code}: {answer.text[:200]}")
                return
            job = await self._ended(answer.headers["location"])
            done += 1
            if job.get("status") != "done" or job.get("rows") != ACCOUNTS + 1:
                self._broken.append(f"an export job ended as {job}")
                return
        print(f"  {done} export jobs, each with {ACCOUNTS + 1} rows")

    async def _ended(self, location: str) -> dict[str, Any]:
        until = perf_counter() + LONGEST_JOB
        while perf_counter() < until:
            job: dict[str, Any] = (await self._api.get(location)).json()
            if job.get("status") not in ("queued", "running"):
                return job
            await asyncio.sleep(0.5)
        return {"status": "no end"}
