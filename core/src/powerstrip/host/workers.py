"""serve with several processes: all of them change together, or none does.

The process that watches over the workers reads the config, and asks all to prepare the same next generation. Only when
each is ready do all swap. A worker gets the config from there when it starts, too: one that died comes back with what
the others have, whatever is in the files by then.
"""

import asyncio
import hmac
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from powerstrip.contract.errors import PowerstripError
from powerstrip.host.config.config import Config, read_config
from powerstrip.host.config.files import Files, Sighting
from powerstrip.host.control import is_own
from powerstrip.host.links import Link, Message, packed, receive, snapshot_message, snapshot_of
from powerstrip.host.reports import Report, failure, status, success
from powerstrip.host.supervisor import Prepared, Snapshot, Supervisor
from powerstrip.host.triggers import Reloader

logger = logging.getLogger(__name__)

Sources = tuple[Sequence[Path | str], Sequence[str]]

_HELLO_TIME = 10.0  # seconds for a worker that has connected to say which it is
_ALL = 1_000_000
_GONE: Mapping[str, Any] = {"ok": False, "error": "WorkersGone", "reason": "no worker answers"}


class Coordinator(Reloader):
    """Keeps all workers on one generation; runs in the process that watches over them."""

    def __init__(self, sources: Sources, on_swap: Callable[[Config], None]) -> None:
        """Reads the config for the first time; one that is wrong is for the workers to refuse."""
        self.token = secrets.token_hex(16)
        """What a worker says to show that it was started here."""
        self._sources = sources
        self._on_swap = on_swap
        self._links: dict[int, Link] = {}
        self._deciding = asyncio.Lock()
        # Building takes a processor for a while: where all workers did so together, requests would have to wait.
        self._at_once = max(1, (os.cpu_count() or 1) // 2)
        self._last: Report | None = None
        self._snapshot, self._config = self._read(1)

    @property
    def config(self) -> Config | None:
        return self._config

    @property
    def files(self) -> Sighting:
        return self._files

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A worker has connected: it gets the config that the others have, and a part in the next decision."""
        with suppress(OSError, ValueError, KeyError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_HELLO_TIME):
                hello = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
            pid = self._pid_of(hello)
            if pid is not None and is_own(writer):
                async with self._deciding:
                    writer.write(packed(snapshot_message(self._snapshot)))
                    link = self._links[pid] = Link(reader, writer, _refuse)
                try:
                    await link.run()
                finally:
                    if self._links.get(pid) is link:
                        del self._links[pid]
        writer.close()

    async def reload(self) -> Report:
        async with self._deciding:
            self._last = report = await self._decide()
            return report

    async def plan(self) -> Report:
        async with self._deciding:
            snapshot, _ = self._read(self._snapshot.number + 1)
            answers = await self._ask_all({"do": "plan", **snapshot_message(snapshot)}, self._limit())
        return next(iter(answers.values()), dict(_GONE))

    async def status(self) -> Report:
        answers = await self._ask_all({"do": "status"}, _HELLO_TIME)
        first = next(iter(answers.values()), {"generation": self._snapshot.number, "step": "starting"})
        workers = [{key: answer.get(key) for key in ("pid", "generation", "step")} for answer in answers.values()]
        files = sorted(map(str, self._files))
        return {**first, "pid": os.getpid(), "files": files, "workers": workers}

    async def _decide(self) -> Report:
        snapshot, config = self._read(self._snapshot.number + 1)
        question = {"do": "prepare", **snapshot_message(snapshot)}
        answers = await self._ask_all(question, self._limit(), at_once=self._at_once)
        ready = {pid for pid, answer in answers.items() if answer["ok"]}
        refusals = [answer for answer in answers.values() if not answer["ok"]]
        if refusals or not ready:
            report = refusals[0] if refusals else dict(_GONE)
            reason = f"another worker was not ready: {report['reason']}"
            await self._ask_all({"do": "abandon", "reason": reason}, self._limit())
            logger.error("reload failed in %d of %d workers, all go on as before", len(refusals), len(answers))
            return {**report, "generation": self._snapshot.number}
        self._snapshot, self._config = snapshot, config  # whoever dies from here on comes back with it
        await self._ask_all({"do": "swap"}, _HELLO_TIME, ready)
        self._on_swap(config)
        logger.info("all workers serve", extra={"generation": snapshot.number, "workers": sorted(ready)})
        return next(answers[pid] for pid in sorted(ready))

    async def _ask_all(
        self,
        question: Mapping[str, Any],
        seconds: float,
        only: set[int] | None = None,
        *,
        at_once: int = _ALL,
    ) -> dict[int, Message]:
        """The answers of the workers by process id, without those that are gone. Each has so many seconds."""
        links = {pid: link for pid, link in self._links.items() if only is None or pid in only}
        turns = asyncio.Semaphore(at_once)

        async def ask(link: Link) -> Message | None:
            async with turns:
                return await _ask(link, question, seconds)

        answers = await asyncio.gather(*map(ask, links.values()))
        return {pid: answer for pid, answer in zip(links, answers, strict=True) if answer is not None}

    def _read(self, number: int) -> tuple[Snapshot, Config]:
        files = Files()
        config = read_config(*self._sources, files=files)
        self._files: Sighting = files.seen
        return Snapshot(number, files.contents), config

    def _limit(self) -> float:
        """Seconds for a preparation: each plugin has its own limits, for being built and for being started."""
        enabled = sum(section.enabled for section in self._config.plugins.values())
        return 2 * self._config.server.start_timeout * (enabled + 2)

    def _pid_of(self, hello: bytes) -> int | None:
        token, _, pid = hello.decode().partition(" ")
        return int(pid) if hmac.compare_digest(token, self.token) else None


async def _ask(link: Link, question: Mapping[str, Any], seconds: float) -> Message | None:
    try:
        async with asyncio.timeout(seconds):
            return await link.ask(question)
    except TimeoutError:
        return {"ok": False, "error": "TimeoutError", "reason": f"a worker gave no answer within {seconds:g} s"}


async def _refuse(_question: Message) -> Report:
    return {"ok": False}


def join(path: str, token: str) -> tuple[socket.socket, Snapshot]:
    """Connect a worker to the process that has started it; returns the config to serve.

    Raises PowerstripError when that process is gone.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
        hello = f"{token} {os.getpid()}".encode()
        connection.sendall(len(hello).to_bytes(4) + hello)
        message = receive(connection)
    except OSError as error:
        raise PowerstripError(f"the process that watches over the workers is gone: {error}") from error
    if message is None:
        raise PowerstripError("the process that watches over the workers does not know this one")
    return connection, snapshot_of(message)


class Worker:
    """What a worker answers to the process that watches over it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._prepared: Prepared | None = None

    async def serve(self, connection: socket.socket) -> None:
        """Answer until that process is gone; then stop, since nobody would restart or reload this one."""
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        await Link(reader, writer, self.answer).run()
        logger.error("the process that watches over the workers is gone: this one stops")
        os.kill(os.getpid(), signal.SIGTERM)

    async def answer(self, question: Message) -> Report:
        match question.get("do"):
            case "prepare":
                return await self._prepare(snapshot_of(question))
            case "swap" if self._prepared is not None:
                return self._swap(self._prepared)
            case "abandon":
                self._prepared = None
                await self._supervisor.give_up(question["reason"])
                return success(0, None)
            case "plan":
                return await self._plan(snapshot_of(question))
            case "status":
                return status(self._supervisor)
        return {"ok": False, "error": "Refused", "reason": "nothing is prepared"}

    async def _prepare(self, snapshot: Snapshot) -> Report:
        try:
            self._prepared = prepared = await self._supervisor.prepare(snapshot)
        except Exception as error:  # noqa: BLE001 - told to whoever asked for it
            return failure(error, None)
        return success(snapshot.number, prepared.plan)

    def _swap(self, prepared: Prepared) -> Report:
        self._prepared = None
        return success(self._supervisor.swap(prepared).generation, prepared.plan)

    async def _plan(self, snapshot: Snapshot) -> Report:
        try:
            return success(snapshot.number, await self._supervisor.plan(snapshot))
        except Exception as error:  # noqa: BLE001 - told to whoever asked for it
            return failure(error, None)
