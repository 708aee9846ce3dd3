"""Clients that are cut off again and again, come back, and keep a journal of what they were told."""

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import websockets

from benchmarks.soak.workers import Worker
from powerstrip import Identity
from powerstrip.testing import signed_in

LOSS = -1
"""In a journal: the server has said that something may be missing here."""


class Listener:
    """One client of one room. `journal` holds numbers of events, and LOSS where it was told of one."""

    def __init__(self, number: int, room: str, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self.room = room
        self._headers = signed_in(Identity(f"listener-{number}"))
        self._last = ""
        self._connection: Any = None
        self.journal: list[int] = []
        self.resumed = 0
        self.connected = asyncio.Event()

    async def follow(self) -> None:
        """Stay connected, whatever happens, until cancelled."""
        while True:
            worker = random.choice(self._workers)
            since = f"&since={self._last}" if self._last else ""
            url = f"ws://127.0.0.1:{worker.port}/ws?topics=room:{self.room}{since}"
            try:
                async with websockets.connect(
                    url, additional_headers=self._headers, compression=None, open_timeout=30, close_timeout=1
                ) as self._connection:
                    await self._listen(self._connection)
            except (OSError, websockets.WebSocketException, TimeoutError):
                pass
            self.connected.clear()
            await asyncio.sleep(random.uniform(0.05, 0.5))

    def cut(self) -> None:
        """Lose the connection, without a goodbye."""
        with suppress(AttributeError):
            self._connection.transport.abort()

    async def _listen(self, connection: Any) -> None:
        async for text in connection:
            message = json.loads(text)
            kind = message["type"]
            if kind == "connected":
                self.connected.set()
                self.resumed += message["data"]["recovered"] is True
                if message["data"]["recovered"] is False:
                    self.journal.append(LOSS)
            elif kind in ("gap", "dropped"):
                self.journal.append(LOSS)
            elif kind == "soak":
                self.journal.append(message["data"])
            if message.get("id"):
                self._last = message["id"]


def broken_promises(journal: Sequence[int], confirmed: Sequence[int]) -> list[str]:
    """What a client was told twice, or neither told nor warned of. `confirmed` are its room's events in their order."""
    seen: dict[int, int] = {}
    broken = []
    losses = [at for at, number in enumerate(journal) if number == LOSS]
    for at, number in enumerate(journal):
        if number == LOSS:
            continue
        # Who was told of a loss loads anew, and may then be told again what it had seen before.
        if number in seen and not any(seen[number] <= loss <= at for loss in losses):
            broken.append(f"{number} came twice")
        seen[number] = at
    for index, number in enumerate(confirmed):
        if number in seen:
            continue
        before = next((seen[other] for other in reversed(confirmed[:index]) if other in seen), -1)
        after = next((seen[other] for other in confirmed[index + 1 :] if other in seen), len(journal))
        if not any(before <= at <= after for at in losses):
            broken.append(f"{number} never came, and nobody said so")
    return broken
