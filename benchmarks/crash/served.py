"""`powerstrip serve` in a process of its own, which is killed and started again on the same port."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import yaml

START_LIMIT = 60.0
STOP_LIMIT = 30.0


class Served:
    """The process, its config and its log."""

    def __init__(self, folder: Path, plugins: dict[str, Any]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self._config = folder / "config.yaml"
        server = {"host": "127.0.0.1", "port": self.port}
        self._config.write_text(yaml.safe_dump({"server": server, "plugins": plugins}), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process; 0 before its first start."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it, and wait until it is ready to serve."""
        self._process = self._begin()
        try:
            async with asyncio.timeout(START_LIMIT), httpx2.AsyncClient(base_url=self.base_url) as client:
                while not await _is_ready(client):
                    if self._process.poll() is not None:
                        raise RuntimeError(f"it ended instead of serving:\n{self._last_lines()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise RuntimeError(f"it is not ready after {START_LIMIT:g} s:\n{self._last_lines()}") from None

    def _begin(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "powerstrip", "serve", "--config", str(self._config)]
        with self.log.open("ab") as output:
            # A group of its own, so that all of it is killed at once; not a session, by which systems share processors
            # out first: then no priority within it counts against those who ask.
            return subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT, process_group=0)

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])

    def kill(self) -> None:
        """SIGKILL, which nothing can prepare for."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, STOP_LIMIT)


async def _is_ready(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx2.TransportError:
        return False
