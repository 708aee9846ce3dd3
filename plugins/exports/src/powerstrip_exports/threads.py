"""Threads that encode, so that the event loop goes on serving others."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from powerstrip import let_others_go_first

P = ParamSpec("P")
T = TypeVar("T")

_FINISHED = object()
_TURN = 0.000_5  # seconds
# A third of the weight of other threads, where all want the processor (sched(7)): it is what requests beside an export
# wait for most. Not less, since what waits for a processor may hold the interpreter.
_NICENESS = 5
_KEPT = 4 << 20  # bytes
_AHEAD = 2  # with fewer, the thread would have to be woken up for each value, which takes a while


class Threads:
    """A few threads of exports alone. What they do takes milliseconds a piece."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    @classmethod
    @contextmanager
    def running(cls, most: int) -> Iterator["Threads"]:
        """`most` threads, until the context is left.

        Meanwhile threads of this process take turns every half millisecond: the event loop, which needs its turn for
        each of its requests, would wait ten times as long by default.
        """
        # By default glibc hands what is freed at the end of a heap back to the system, and gets it anew a moment later;
        # it keeps up to twice the largest block that was ever freed (mallopt(3), M_MMAP_THRESHOLD).
        bytearray(_KEPT)
        usual = sys.getswitchinterval()
        sys.setswitchinterval(min(usual, _TURN))
        try:
            with ThreadPoolExecutor(most, "powerstrip-exports", let_others_go_first, (_NICENESS,)) as executor:
                yield cls(executor)
        finally:
            sys.setswitchinterval(usual)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread. When this is cancelled, it still waits for the function's end: whatever the
        function uses may be closed afterwards."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.gather(future, return_exceptions=True)
            raise

    async def iterate(self, values: Generator[T]) -> AsyncGenerator[T]:
        """The values of a generator, each made in a thread; the next one is made while the last one is used."""
        upcoming: asyncio.Task[T | object] = asyncio.create_task(self.run(next, values, _FINISHED))
        try:
            while (value := await upcoming) is not _FINISHED:
                upcoming = asyncio.create_task(self.run(next, values, _FINISHED))
                yield value  # type: ignore[misc]
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
            await self.run(values.close)

    @staticmethod
    def ahead(values: Generator[T]) -> Generator[T]:
        """The values of a generator, which a thread of their own makes while the ones before are used."""
        with ThreadPoolExecutor(1, "powerstrip-exports-ahead", let_others_go_first, (_NICENESS,)) as executor:
            upcoming = deque(executor.submit(next, values, _FINISHED) for _ in range(_AHEAD))
            try:
                while (value := upcoming.popleft().result()) is not _FINISHED:
                    upcoming.append(executor.submit(next, values, _FINISHED))
                    yield value  # type: ignore[misc]
            finally:
                for future in upcoming:
                    future.cancel()
                executor.submit(values.close)
