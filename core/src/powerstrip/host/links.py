"""serve with several processes: messages between the one that watches over the others and each of them."""

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from powerstrip.host.supervisor import Snapshot

Message = dict[str, Any]

_LENGTH = 4
_LONGEST = 256 * 1024 * 1024  # a config of many files, each as long as it may be


class Link:
    """One end of a connection: asks questions, and answers those of the other end, several at a time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Callable[[Message], Awaitable[Mapping[str, Any]]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Message | None]] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def ask(self, question: Mapping[str, Any]) -> Message | None:
        """The answer; None when the other end is gone."""
        number = next(self._numbers)
        answer: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._write({"asks": number, **question})
            return await answer
        finally:
            self._asked.pop(number, None)

    async def run(self) -> None:
        """Read what comes until the other end is gone."""
        try:
            while (message := await self._read()) is not None:
                self._take(message)
        finally:
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_result(None)
            self._reader.feed_eof()
            self._writer.close()

    def _take(self, message: Message) -> None:
        if "answers" in message:
            answer = self._asked.get(message.pop("answers"))
            if answer is not None and not answer.done():
                answer.set_result(message)
            return
        task = asyncio.create_task(self._reply(message.pop("asks"), message), name="powerstrip:link")
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _reply(self, number: int, question: Message) -> None:
        self._write({"answers": number, **await self._answer(question)})

    def _write(self, message: Mapping[str, Any]) -> None:
        if self._reader.at_eof() or self._writer.is_closing():
            number = message.get("asks", 0)
            if number in self._asked:
                self._asked[number].set_result(None)
            return
        self._writer.write(packed(message))

    async def _read(self) -> Message | None:
        with suppress(asyncio.IncompleteReadError, OSError):
            length = int.from_bytes(await self._reader.readexactly(_LENGTH))
            if length <= _LONGEST:
                message: Message = json.loads(await self._reader.readexactly(length))
                return message
        return None


def packed(message: Mapping[str, Any]) -> bytes:
    """A message as it is sent: its length, then JSON."""
    data = json.dumps(message).encode()
    return len(data).to_bytes(_LENGTH) + data


def receive(connection: socket.socket) -> Message | None:
    """One message, waited for; None when the other end is gone."""
    with connection.makefile("rb", buffering=0) as stream:
        head = _exactly(stream, _LENGTH)
        data = head and _exactly(stream, int.from_bytes(head))
    message: Message | None = json.loads(data) if data else None
    return message


def _exactly(stream: Any, size: int) -> bytes | None:
    received = b""
    while len(received) < size:
        piece = stream.read(size - len(received))
        if not piece:
            return None
        received += piece
    return received


def snapshot_message(snapshot: Snapshot) -> Message:
    contents = {name: base64.b64encode(content).decode() for name, content in snapshot.contents.items()}
    return {"number": snapshot.number, "contents": contents}


def snapshot_of(message: Mapping[str, Any]) -> Snapshot:
    contents = {name: base64.b64decode(content) for name, content in message["contents"].items()}
    return Snapshot(message["number"], contents)
