"""The way of a client: a million users by curl, broken off and resumed, then opened by what people open files with."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.exports_proof.opening import Found, open_with, readers
from benchmarks.exports_proof.site import Site

BREAK_AT = 0.4  # of the file


async def fetch_and_count(site: Site, folder: Path, rows: int, pandas: str) -> list[str]:
    """CSV as a stream, Excel and Parquet by jobs whose downloads break off; then each reader counts its rows."""
    await site.restart()
    broken: list[str] = []
    curl = _Curl(site)
    csv = folder / "users.csv"
    await curl.run("-o", str(csv), "/api/v1/users/export")
    print(f"CSV by curl: {_size(csv) / 1e6:.0f} MB")
    files = {"csv": csv}
    for kind, name in (("excel", "users.xlsx"), ("parquet", "users.parquet")):
        files[kind] = folder / name
        broken += await _fetch_by_job(site, curl, kind, files[kind])
    site.served.kill()
    return broken + await _open_all(files, rows, pandas)


async def _open_all(files: Mapping[str, Path], rows: int, pandas: str) -> list[str]:
    broken: list[str] = []
    expected: Found | None = None
    for reader in readers(pandas):
        started = perf_counter()
        found = await asyncio.to_thread(open_with, reader, files[reader.kind])
        if found is None:
            print(f"  NOT OPENED with {reader.name}, which is not here: {reader.install}", flush=True)
            continue
        print(f"{reader.kind}: {reader.name} finds {found.rows:,} rows ({perf_counter() - started:.0f} s)", flush=True)
        expected = expected or found
        if found != expected or found.rows != rows:
            broken.append(f"{reader.name} finds other rows in {reader.kind} than there are: {found.rows:,}")
    return broken


async def _fetch_by_job(site: Site, curl: "_Curl", kind: str, file: Path) -> list[str]:
    async with site.client() as client:
        address = await site.job(client, kind)
        told = await _watch(curl, address)
        job = (await client.get(address)).json()
    shown = ", ".join(f"{percent:g} %" for percent in told)
    print(f"{kind} by a job: progress {shown}; {job['rows']:,} rows, {job['bytes'] / 1e6:.0f} MB", flush=True)
    broken = [] if len(told) > 1 else [f"the job of {kind} told nothing before its end"]
    broken_at = await curl.break_off(file, job["file"], int(job["bytes"] * BREAK_AT))
    await curl.run("-C", "-", "-o", str(file), job["file"])
    print(f"{kind}: broken off at {broken_at / 1e6:.0f} MB, resumed to {_size(file) / 1e6:.0f} MB", flush=True)
    if not 0 < broken_at < job["bytes"]:
        broken.append(f"the download of {kind} was not broken off in its middle")
    if _sha256(file) != job["sha256"]:
        broken.append(f"the resumed download of {kind} is not the file")
    return broken


async def _watch(curl: "_Curl", address: str) -> list[float]:
    """What the events of a job tell of its progress, in percent."""
    told = (await curl.run("-N", f"{address}/events")).decode()
    facts = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith("data: ")]
    return [fact["percent"] for fact in facts if fact["percent"] is not None]


class _Curl:
    """The real one."""

    def __init__(self, site: Site) -> None:
        self._base = site.served.base_url
        self._header = f"Authorization: {site.headers['Authorization']}"

    async def _begin(self, *options: str) -> Any:
        *rest, path = options
        command: Sequence[str] = ("curl", "-s", "-f", "-H", self._header, *rest, f"{self._base}{path}")
        return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)

    async def run(self, *options: str) -> bytes:
        """What it prints; the last of the options is the path. Raises RuntimeError when it ends with an error."""
        process = await self._begin(*options)
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"curl ended with {process.returncode}")
        return bytes(output)

    async def break_off(self, file: Path, path: str, size: int) -> int:
        """Kill it when the file has grown to about `size`; gives how large it is then."""
        # Slow enough to be caught in the middle.
        process = await self._begin("--limit-rate", str(max(size, 1)), "-o", str(file), path)
        while process.returncode is None and _size(file) < size:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
        return _size(file)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
