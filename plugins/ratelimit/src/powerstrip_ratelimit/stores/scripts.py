"""Runs one script for many: all who ask in one tick of the event loop are answered in one go."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from redis.exceptions import NoScriptError, RedisError

from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_redis import RedisConnections, RedisUnavailable

_LARGEST_BATCH = 256
_AWAY = "the Redis server is away"


def word(text: bytes) -> bytes:
    """A word of a command, as it is sent (RESP)."""
    return b"$%d\r\n%b\r\n" % (len(text), text)


def words_of(command: bytes) -> list[bytes]:
    """The words of a command that is packed as it is sent."""
    words: list[bytes] = []
    at = command.index(b"\n") + 1
    while at < len(command):
        begin = command.index(b"\n", at) + 1
        end = begin + int(command[at + 1 : begin])
        words.append(command[begin:end])
        at = end + 2
    return words


class ScriptRunner:
    """Runs one script on one server.

    Who comes when nobody is being answered is sent at once. All who come meanwhile go together.
    """

    def __init__(self, connections: RedisConnections, script: str, within: float) -> None:
        """`within` is how many seconds the server may take for a batch."""
        self._connections = connections
        text = script.encode()
        self._eval = word(b"EVAL") + word(text)
        self._evalsha = word(b"EVALSHA") + word(hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
        self._exchange = self._exchange_in_cluster if connections.is_cluster else connections.exchange
        self._within = within
        self._waiting: deque[_Waiting] = deque()
        self._is_asking = False
        self._lane: asyncio.Task[None] | None = None

    def head(self, keys: int, arguments: int) -> bytes:
        """How a command begins that runs the script; its keys and its arguments follow, as words."""
        return b"*%d\r\n%b%b" % (3 + keys + arguments, self._evalsha, word(b"%d" % keys))

    async def run(self, command: bytes) -> bytes:
        """The script's answer. Raises StoreUnavailableError, at once while the server is known to be away."""
        if self._is_asking or self._waiting:
            return await self._answer_later(command)
        self._is_asking = True
        try:
            [answer] = await self._answers([command])
        finally:
            self._is_asking = False
        if isinstance(answer, Exception):
            raise _unavailable(answer)
        return answer

    async def close(self) -> None:
        """Give up what is under way."""
        if self._lane is not None:
            self._lane.cancel()
            await asyncio.wait([self._lane])

    async def _answer_later(self, command: bytes) -> bytes:
        if not self._connections.is_available:
            raise StoreUnavailableError(_AWAY)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(command, answer))
        if self._lane is None:
            self._lane = asyncio.create_task(self._run_waiting(), name="ratelimit: asking Redis")
        return await answer

    async def _run_waiting(self) -> None:
        """One batch after the other, until nobody waits: a task, so that no caller who leaves takes others along."""
        batch: list[_Waiting] = []
        try:
            while batch := self._next_batch():
                try:
                    answers = await self._answers([entry.command for entry in batch])
                except StoreUnavailableError as error:
                    answers = [error] * len(batch)
                for entry, answer in zip(batch, answers, strict=True):
                    entry.tell(answer)
        finally:
            self._lane = None
            for entry in (*batch, *self._waiting):
                entry.tell(StoreUnavailableError("the application stops"))
            self._waiting.clear()

    def _next_batch(self) -> "list[_Waiting]":
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < _LARGEST_BATCH:
            entry = self._waiting.popleft()
            if not entry.answer.done():  # whose caller has left
                batch.append(entry)
        return batch

    async def _answers(self, commands: Sequence[bytes]) -> list[bytes | Exception]:
        try:
            answers: list[bytes | Exception] = await self._exchange(commands, self._within)
            if NoScriptError in map(type, answers):
                await self._run_forgotten(commands, answers)
        except RedisUnavailable as error:
            raise (_unavailable(error.__cause__) if error.__cause__ else StoreUnavailableError(_AWAY)) from error
        except RedisError as error:
            raise _unavailable(error) from error
        return answers

    async def _run_forgotten(self, commands: Sequence[bytes], answers: list[bytes | Exception]) -> None:
        """The server was restarted or replaced, or its scripts were flushed. Only what was not run is run now.

        The first brings the script along, and the others find it then.
        """
        first, *others = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        again = await self._exchange([commands[first].replace(self._evalsha, self._eval, 1)], self._within)
        if others:
            again += await self._exchange([commands[number] for number in others], self._within)
        for number, answer in zip((first, *others), again, strict=True):
            answers[number] = answer

    async def _exchange_in_cluster(self, commands: Sequence[bytes], within: float) -> list[bytes | Exception]:
        async with self._connections.available(within) as client:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                verb, *words = words_of(command)
                pipeline.execute_command(verb.decode(), *words)
            answers: list[bytes | Exception] = await pipeline.execute(raise_on_error=False)
            return answers


class _Waiting(NamedTuple):
    """Somebody who waits for an answer."""

    command: bytes
    answer: "asyncio.Future[bytes]"

    def tell(self, answer: bytes | BaseException) -> None:
        if self.answer.done():  # the caller has left
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(_unavailable(answer))
        else:
            self.answer.set_result(answer)


def _unavailable(error: BaseException) -> StoreUnavailableError:
    """Each waiting caller gets an exception of its own: they gather tracebacks."""
    reason = str(error) if isinstance(error, StoreUnavailableError) else f"{type(error).__name__}: {error}"
    return StoreUnavailableError(reason)
