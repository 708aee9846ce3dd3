"""Reads answers off a connection without the stream in between.

redis-py waits for each part of each answer by itself, which takes longer than the server does. Here what has arrived is
taken apart where it arrives, and whoever asked is woken once, when all answers are there.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError

_END = b"\r\n"


class AnswerReader(asyncio.Protocol):
    """Stands between a connection and its stream, which gets all that is no answer to what was asked here.

    The protocol is https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md, in part: attributes and
    messages that nobody asked for have no place between commands and their answers.
    """

    def __init__(self, transport: asyncio.Transport, make_error: Callable[[str], Exception]) -> None:
        """`make_error` says what an answer means that is an error."""
        self.transport = transport
        self._make_error = make_error
        self._loop = asyncio.get_running_loop()
        self._stream: Any = transport.get_protocol()
        self._asked: asyncio.Future[list[Any]] | None = None
        self._wanted = 0
        self._answers: list[Any] = []
        self._kept: list[bytes] = []
        self._enough = 0
        transport.set_protocol(self)

    def ask(self, commands: Sequence[bytes]) -> "asyncio.Future[list[Any]]":
        """Send them; gives all of their answers.

        Raises redis-py's ConnectionError when the connection is lost or the server wants it closed. It is of no use any
        more when this fails or is cancelled, for nobody can tell then what belongs to what.
        """
        self._asked = asked = self._loop.create_future()
        self._wanted = len(commands)
        self._answers = []
        self.transport.write(commands[0] if self._wanted == 1 else b"".join(commands))
        return asked

    def data_received(self, data: bytes) -> None:
        if self._asked is None:
            self._stream.data_received(data)
            return
        if self._kept:
            self._kept.append(data)
            if sum(map(len, self._kept)) < self._enough:
                return
            data = b"".join(self._kept)
            self._kept.clear()
        at = 0
        try:
            while len(self._answers) < self._wanted:
                answer, at = self._answer(data, at)
                self._answers.append(answer)
        except _Incomplete as error:
            self._kept.append(data[at:])
            self._enough = error.enough - at
        except (RedisError, ValueError) as error:
            self._fail(error)
        else:
            self._finish(data, at)

    def eof_received(self) -> bool | None:
        self._fail(RedisConnectionError("the server has closed it"))
        keep_open: bool | None = self._stream.eof_received()
        return keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(RedisConnectionError(str(exc) if exc else "it is closed"))
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    def _finish(self, data: bytes, end: int) -> None:
        asked, self._asked = self._asked, None
        if end < len(data):  # which shows whoever uses the connection next that something is wrong
            self._stream.data_received(data[end:])
        if asked is not None and not asked.done():
            asked.set_result(self._answers)

    def _fail(self, error: Exception) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_exception(error)

    def _answer(self, data: bytes, at: int) -> tuple[Any, int]:
        """The answer that begins there, and where the next does."""
        end = data.find(_END, at)
        if end < 0:
            raise _Incomplete(len(data) + 1)
        kind, line, at = data[at : at + 1], data[at + 1 : end], end + 2
        if kind in b"$!=":
            end = at + int(line)
            if end < at:
                return None, at
            if len(data) < end + 2:
                raise _Incomplete(end + 2)
            return self._text(kind, data[at:end]), end + 2
        if kind in b"*~%":
            return self._several(data, at, kind, int(line))
        return self._scalar(kind, line), at

    def _several(self, data: bytes, at: int, kind: bytes, size: int) -> tuple[Any, int]:
        if size < 0:
            return None, at
        found: list[Any] = []
        for _ in range(size * 2 if kind == b"%" else size):
            one, at = self._answer(data, at)
            found.append(one)
        return dict(zip(found[::2], found[1::2], strict=True)) if kind == b"%" else found, at

    def _text(self, kind: bytes, text: bytes) -> Any:
        if kind == b"!":
            return self._error(text)
        return text[4:] if kind == b"=" else text  # a verbatim text says first of which kind it is

    def _scalar(self, kind: bytes, line: bytes) -> Any:
        match kind:
            case b":" | b"(":
                return int(line)
            case b"+":
                return line
            case b"-":
                return self._error(line)
            case b"_":
                return None
            case b",":
                return float(line)
            case b"#":
                return line == b"t"
        raise InvalidResponse(f"not expected in an answer: {kind + line[:100]!r}")

    def _error(self, text: bytes) -> Exception:
        error = self._make_error(text.decode(errors="replace"))
        if isinstance(error, RedisConnectionError):
            raise error
        return error


class _Incomplete(Exception):
    """More has to arrive first: so many bytes from the beginning on, at least."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
