"""A served site with made-up users and an admin who is signed in."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.crash.served import Served

PASSWORD = "correct horse battery"


class Site:
    """`powerstrip serve` with users and exports, in a process of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.headers: dict[str, str] = {}
        plugins: dict[str, Any] = {
            "health": True,
            "tracing": {"access_log": False},
            "database": {"url": url},
            "users": {"passwords": {"memory_kib": 8, "iterations": 1}, "tokens": {"access_lifetime": 3_600}},
            "exports": {"jobs": {"lease": 2, "poll_interval": 0.2, "attempts": 100}},
        }
        self.served = Served(folder, plugins)

    @property
    def pids(self) -> list[int]:
        """The process and its children."""
        pid = self.served.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    @asynccontextmanager
    async def populated(self, users: int) -> AsyncGenerator["Site"]:
        """Make the users. What is served meanwhile, after a `restart`, is killed in the end."""
        self._run("users", "create-admin", "--email", "root@example.com", "--username", "root")
        self._run("users", "seed", str(users - 1), "--yes")
        try:
            yield self
        finally:
            self.served.kill()

    async def restart(self) -> None:
        """A new process, and the admin signed in again."""
        self.served.kill()
        await self.served.start()
        async with httpx2.AsyncClient(base_url=self.served.base_url, timeout=60) as client:
            answer = await client.post("/api/v1/auth/token", data={"username": "root", "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.served.base_url, headers=self.headers, timeout=600)

    async def job(self, client: httpx2.AsyncClient, kind: str) -> str:
        """Ask for a file; gives the job's address."""
        answer = await client.post("/api/v1/exports", json={"source": "users", "format": kind})
        answer.raise_for_status()
        return str(answer.headers["Location"])

    async def end_of(self, client: httpx2.AsyncClient, job: str) -> dict[str, Any]:
        while (state := (await client.get(job)).json())["status"] in ("queued", "running"):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.1)
        return dict(state)

    def _run(self, *line: str) -> None:
        command = [sys.executable, "-m", "powerstrip", *line, "--config", str(self.folder / "config.yaml")]
        environment = {**os.environ, "POWERSTRIP_ADMIN_PASSWORD": PASSWORD}
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(line)} failed: {ended.stderr}")
