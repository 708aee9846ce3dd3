"""One connection's way out: straight to the client while it keeps up, through a bounded queue while it doesn't."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from itertools import islice
from typing import Literal, Protocol

from powerstrip_realtime.frames import Frame
from powerstrip_realtime.settings import QueueSettings
from powerstrip_realtime.wire import Wire

Trouble = Literal["slow", "stalled", "gone"]
"""Why nothing goes out any more: the queue is full, nothing was taken for too long, or the client has left."""


class Owner(Protocol):
    """Whoever has the outlet."""

    def on_trouble(self, trouble: Trouble) -> None:
        """Called once, when nothing more can go out."""
        ...

    def dropped(self, count: int) -> Frame:
        """What tells the client that it missed messages."""
        ...


class Outlet:
    """Keeps the order of messages, and never waits."""

    __slots__ = (
        "_dropped",
        "_held",
        "_is_shut",
        "_is_socket",
        "_owner",
        "_queue",
        "_replayed",
        "_settings",
        "_size",
        "_wire",
        "_writer",
    )

    def __init__(self, wire: Wire, owner: Owner, settings: QueueSettings, *, is_socket: bool) -> None:
        self._wire = wire
        self._owner = owner
        self._settings = settings
        self._is_socket = is_socket
        self._queue: deque[Frame] | None = None  # an idle connection has none
        # Apart from the queue, which the writer goes on to empty: nothing kept back may go out before what is replayed.
        self._held: deque[Frame] | None = None
        self._size = 0  # in bytes, of all that waits but what is replayed
        self._replayed = 0  # frames at the head of the queue that don't count
        self._dropped = 0
        self._is_shut = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return len(self._queue or ()) + len(self._held or ())

    def push(self, frame: Frame) -> None:
        """Send a message, now or later."""
        if self._is_shut:
            return
        if self._writer is not None or self._held is not None or not self._wire.is_direct:
            self._enqueue(frame)
            return
        if self._is_socket and self._wire.write(frame.whole):
            return
        try:
            rest = self._wire.begin(frame.socket if self._is_socket else frame.stream)
        except Exception:  # noqa: BLE001 - servers differ in how they say that the client has left
            self._give_up("gone")
        else:
            if rest is not None:
                self._start_writing(rest)

    def hold(self) -> None:
        """Keep back what is pushed from now on, until `release`."""
        self._held = deque()

    def release(self, replayed: list[Frame]) -> None:
        """Send what a client has asked to be told again, then what was kept back. The history bounds the former."""
        kept, self._held = self._held or (), None
        self._size -= sum(frame.size for frame in kept)
        for frame in replayed:
            if self._is_shut:
                return
            if self._writer is None and self._wire.is_direct:
                self.push(frame)
            else:
                self._enqueue_replayed(frame)
        if self._dropped and self._writer is None:  # a writer would tell of it
            self.push(self._take_dropped())
        for frame in kept:
            self.push(frame)

    def shut(self) -> None:
        """Send nothing any more, and forget what waits."""
        self._is_shut = True
        self._queue, self._held, self._size, self._replayed = None, None, 0, 0
        if self._writer is not None:
            self._writer.cancel()

    def _enqueue(self, frame: Frame) -> None:
        if self._held is not None:
            self._append(self._held, frame, 0)
            return
        if self._queue is None:
            self._queue = deque()
        self._append(self._queue, frame, self._replayed)
        if self._writer is None and not self._is_shut:
            self._start_writing(None)

    def _enqueue_replayed(self, frame: Frame) -> None:
        if self._queue is None:
            self._queue = deque()
        if self._replayed < len(self._queue):
            # What is before it in the queue has to go out first, and counts no more either.
            self._size -= sum(before.size for before in islice(self._queue, self._replayed, None))
        self._queue.append(frame)
        self._replayed = len(self._queue)
        if self._writer is None:
            self._start_writing(None)

    def _append(self, queue: deque[Frame], frame: Frame, first: int) -> None:
        """Add a frame to a queue, whose frames before the `first` stay whatever comes."""
        queue.append(frame)
        self._size += frame.size
        if self._is_full():
            self._make_room(queue, first)

    def _is_full(self) -> bool:
        counted = self.waiting - self._replayed
        return counted > self._settings.messages or self._size > self._settings.size

    def _make_room(self, queue: deque[Frame], first: int) -> None:
        if self._settings.when_full == "coalesce":
            self._coalesce(queue, first)
        elif self._settings.when_full == "drop_oldest":
            while self._is_full() and self._drop_oldest(queue, first):
                pass
        if self._is_full():
            self._give_up("slow")

    def _drop_oldest(self, queue: deque[Frame], first: int) -> bool:
        # The newest stays, and what a client itself has asked for is never dropped.
        for at in range(first, len(queue) - 1):
            if queue[at].key is not None:
                self._size -= queue[at].size
                self._dropped += 1
                del queue[at]
                return True
        return False

    def _coalesce(self, queue: deque[Frame], first: int) -> None:
        frames = list(queue)
        newest = _newest(frames[first:])
        self._dropped += len(frames) - first - len(newest)
        self._size -= sum(frame.size for frame in frames[first:]) - sum(frame.size for frame in newest)
        queue.clear()
        queue.extend(frames[:first] + newest)

    def _start_writing(self, rest: Awaitable[None] | None) -> None:
        self._writer = asyncio.create_task(self._write(rest), name="realtime: slow client")

    async def _write(self, rest: Awaitable[None] | None) -> None:
        try:
            if rest is not None:
                async with asyncio.timeout(self._settings.write_timeout):
                    await rest
            while self._queue:
                frame = self._next(self._queue)
                async with asyncio.timeout(self._settings.write_timeout):
                    await self._wire.send(frame.socket if self._is_socket else frame.stream)
        except TimeoutError:
            self._give_up("stalled")
        except Exception:  # noqa: BLE001 - servers differ in how they say that the client has left
            self._give_up("gone")
        finally:
            self._writer = None

    def _next(self, queue: deque[Frame]) -> Frame:
        if self._dropped:
            return self._take_dropped()
        frame = queue.popleft()
        if self._replayed:
            self._replayed -= 1
        else:
            self._size -= frame.size
        return frame

    def _take_dropped(self) -> Frame:
        count, self._dropped = self._dropped, 0
        return self._owner.dropped(count)

    def _give_up(self, trouble: Trouble) -> None:
        if not self._is_shut:
            self.shut()
            self._owner.on_trouble(trouble)


def _newest(frames: list[Frame]) -> list[Frame]:
    """Of frames with one key only the last, at its place."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for frame in reversed(frames):
        if frame.key is None or frame.key not in seen:
            kept.append(frame)
        if frame.key is not None:
            seen.add(frame.key)
    return kept[::-1]
