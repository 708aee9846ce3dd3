"""Runs one script for many: all who ask in one tick of the event loop are answered in one go."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from redis.exceptions import NoScriptError, RedisError

from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_redis import RedisConnections, RedisUnavailable

_LARGEST_BATCH = 256


class Words(NamedTuple):
    """Words of a command, and the same packed as they are sent (RESP), so that what stays the same is packed once."""

    words: tuple[bytes, ...]
    packed: bytes


def words_of(*words: bytes) -> Words:
    return Words(words, b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


class Call(NamedTuple):
    """What the script is called with."""

    keys: Sequence[Words]
    arguments: Sequence[Words]


class ScriptRunner:
    """Runs one script on one server.

    Who comes when nobody is being answered is sent at once. All who come meanwhile go together.
    """

    def __init__(self, connections: RedisConnections, script: str, within: float) -> None:
        """`within` is how many seconds the server may take for a batch."""
        self._connections = connections
        text = script.encode()
        self._eval = words_of(b"EVAL", text)
        self._evalsha = words_of(b"EVALSHA", hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
        self._within = within
        self._waiting: deque[_Waiting] = deque()
        self._is_asking = False
        self._lane: asyncio.Task[None] | None = None

    async def run(self, call: Call) -> bytes:
        """The script's answer. Raises StoreUnavailableError, at once while the server is known to be away."""
        if not self._connections.is_available:
            raise StoreUnavailableError("the Redis server is away")
        if not self._is_asking and not self._waiting:
            return await self._run_alone(call)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(call, answer))
        if self._lane is None:
            self._lane = asyncio.create_task(self._run_waiting(), name="ratelimit: asking Redis")
        return await answer

    async def close(self) -> None:
        """Give up what is under way."""
        if self._lane is not None:
            self._lane.cancel()
            await asyncio.wait([self._lane])

    async def _run_alone(self, call: Call) -> bytes:
        self._is_asking = True
        try:
            (answer,) = await self._answers([call])
        finally:
            self._is_asking = False
        if isinstance(answer, Exception):
            raise _unavailable(answer)
        return answer

    async def _run_waiting(self) -> None:
        """One batch after the other, until nobody waits: a task, so that no caller who leaves takes others along."""
        batch: list[_Waiting] = []
        try:
            while batch := self._next_batch():
                try:
                    answers = await self._answers([entry.call for entry in batch])
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

    async def _answers(self, calls: Sequence[Call]) -> list[bytes | Exception]:
        try:
            answers = await self._send(self._evalsha, calls)
            forgotten = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if forgotten:
                # The server was restarted or replaced, or its scripts were flushed. Only what was not run is run now.
                again = await self._send_script(calls[number] for number in forgotten)
                for number, answer in zip(forgotten, again, strict=True):
                    answers[number] = answer
        except (RedisUnavailable, RedisError) as error:
            raise _unavailable(error.__cause__ or error) from error
        return answers

    async def _send_script(self, calls: Iterable[Call]) -> list[bytes | Exception]:
        """The first call brings the script along, and the others find it then."""
        first, *others = calls
        answers = await self._send(self._eval, [first])
        return answers + (await self._send(self._evalsha, others) if others else [])

    async def _send(self, begin: Words, calls: Sequence[Call]) -> list[bytes | Exception]:
        commands = [(begin, words_of(b"%d" % len(call.keys)), *call.keys, *call.arguments) for call in calls]
        if not self._connections.is_cluster:
            return await self._connections.exchange([_packed(command) for command in commands], self._within)
        async with self._connections.available(self._within) as client:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                verb, *others = (word for words in command for word in words.words)
                pipeline.execute_command(verb.decode(), *others)
            answers: list[bytes | Exception] = await pipeline.execute(raise_on_error=False)
            return answers


class _Waiting(NamedTuple):
    """Somebody who waits for an answer."""

    call: Call
    answer: "asyncio.Future[bytes]"

    def tell(self, answer: bytes | BaseException) -> None:
        if self.answer.done():  # the caller has left
            return
        if isinstance(answer, BaseException):
            self.answer.set_exception(_unavailable(answer))
        else:
            self.answer.set_result(answer)


def _packed(command: Sequence[Words]) -> bytes:
    length = sum([len(words.words) for words in command])
    return b"*%d\r\n" % length + b"".join([words.packed for words in command])


def _unavailable(error: BaseException) -> StoreUnavailableError:
    """Each waiting caller gets an exception of its own: they gather tracebacks."""
    reason = str(error) if isinstance(error, StoreUnavailableError) else f"{type(error).__name__}: {error}"
    return StoreUnavailableError(reason)
