"""serve and drain: one request or WebSocket on its way, as the lease that it has on its generation."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from starlette.types import Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

SERVICE_RESTART = 1012
"""The close code that says: come again (the WebSocket registry of RFC 6455, 11.7)."""

_LOOK_INTERVAL = 0.05  # seconds between two looks at which calls are left, while they end
_GOODBYE_TIME = 1.0  # seconds for a call that was told to end, before it is cancelled
_AT_ONCE = 100  # calls that are ended before the next ones are


class Call:
    """A call: it leases its generation until its response ends, and can be told to end sooner.

    It stands between the server and the application. `owner` is the plugin whose route answers, once that is known.
    """

    # Of the class, and not set for each call: most calls are over before any of them changes.
    owner: str | None = None
    head: Message | None = None  # of the response; a WebSocket's is its accepted handshake
    finished = False
    is_ended = False
    _waiter: "asyncio.Task[object] | None" = None

    def __init__(self, leases: "Leases", scope: Scope, receive: Receive, send: Send) -> None:
        self.kind = scope["type"]
        self.task = asyncio.current_task()
        self._leases = leases
        self._receive = receive
        self._send = send

    @property
    def server_send(self) -> Send:
        """The server's own `send`, for those who see to it themselves that nothing is sent after the end."""
        return self._send

    @property
    def is_lasting(self) -> bool:
        """Whether it is meant to stay open: an accepted WebSocket, an event stream."""
        if self.head is None:
            return False
        return self.kind == "websocket" or self.is_event_stream

    @property
    def is_event_stream(self) -> bool:
        headers: Iterable[tuple[bytes, bytes]] = self.head.get("headers", ()) if self.head else ()
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)

    async def receive(self) -> Message:
        if self.is_ended:
            return self._goodbye()
        self._waiter = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if not self.is_ended or self._waiter is None:
                raise
            self._waiter.uncancel()
            return self._goodbye()
        finally:
            self._waiter = None

    # No coroutine of its own: a message costs one call here, not one more await.
    def send(self, message: Message) -> Awaitable[None]:
        if self.is_ended:
            return self._refuse()
        kind = message["type"]
        if kind == "http.response.body":
            self.finished = not message.get("more_body", False)
        elif kind == "http.response.start" or kind == "websocket.accept":  # noqa: PLR1714 - quicker than a tuple
            self.head = message
            if self._leases.watchers:
                self._leases.note()
        elif kind == "websocket.close":
            self.finished = True
        return self._send(message)

    async def end(self) -> None:
        """Tell it to end: a WebSocket is closed with 1012, a request sees its client leave."""
        if self.is_ended:
            return
        self.is_ended = True
        if self.kind == "websocket" and not self.finished:
            self.finished = True
            try:
                await self._send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": "service restart"})
            except Exception:  # noqa: BLE001 - the client is gone already, in whatever way the server says that
                logger.debug("a WebSocket was gone before it could be closed")
        if self._waiter is not None:
            self._waiter.cancel()

    async def settle(self) -> bool:
        """End the response of a call that was told to end, where a client would take that for its end.

        False when nothing was answered yet, so that there is still something to say.
        """
        if self.kind == "websocket" or self.finished:
            return True
        if self.head is None:
            return False
        if self.is_event_stream:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        return True  # else the server breaks the connection, so that half an answer is not taken for a whole one

    def _goodbye(self) -> Message:
        if self.kind == "websocket":
            return {"type": "websocket.disconnect", "code": SERVICE_RESTART, "reason": "service restart"}
        return {"type": "http.disconnect"}

    async def _refuse(self) -> None:
        if self.kind == "websocket":
            raise OSError("the WebSocket is closed: its plugin stops")  # what servers raise, and Starlette knows


class Leases:
    """The calls that lease one generation."""

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self.watchers: set[asyncio.Event] = set()  # of those who wait for calls to end

    def __len__(self) -> int:
        return len(self.calls)

    def note(self) -> None:
        for changed in self.watchers:
            changed.set()

    def of(self, plugins: Collection[str]) -> list[Call]:
        """The calls that these plugins answer."""
        return [call for call in self.calls if call.owner in plugins]

    def holding(self, leaving: Collection[str]) -> list[Call]:
        """The calls that may need plugins that leave: their own, and all others that are not meant to stay open."""
        return [call for call in self.calls if call.owner in leaving or not call.is_lasting]

    def unrouted(self) -> list[Call]:
        """The calls of which nobody knows yet who answers them."""
        return [call for call in self.calls if call.owner is None]

    @contextmanager
    def watched(self, changed: asyncio.Event) -> Iterator[None]:
        """Set `changed` whenever a call ends, or turns out to be one that stays open."""
        self.watchers.add(changed)
        try:
            yield
        finally:
            self.watchers.discard(changed)


async def wait_for_calls(everywhere: Sequence[Leases], leaving: Collection[str], seconds: float) -> bool:
    """Wait until no call may need the plugins that leave; False when that takes longer than `seconds`.

    Of the last of the leases these are their own calls and all others that are not meant to stay open, of those of
    earlier generations their own.
    """
    *earlier, latest = everywhere
    changed = asyncio.Event()

    def is_held() -> bool:
        return bool(latest.holding(leaving)) or any(leases.of(leaving) for leases in earlier)

    with ExitStack() as stack:
        for leases in everywhere:
            stack.enter_context(leases.watched(changed))
        try:
            async with asyncio.timeout(seconds):
                while is_held():
                    await changed.wait()
                    await asyncio.sleep(_LOOK_INTERVAL)  # many end at once: one look is for all of them
                    changed.clear()
        except TimeoutError:
            return False
    return True


async def only_brief(everywhere: Sequence[Leases], seconds: float) -> None:
    """Wait until no call is left that is meant to stay open, or for so long."""
    changed = asyncio.Event()

    def is_lasting() -> bool:
        return any(call.is_lasting and not call.finished for leases in everywhere for call in leases.calls)

    with suppress(TimeoutError), ExitStack() as stack:
        for leases in everywhere:
            stack.enter_context(leases.watched(changed))
        async with asyncio.timeout(seconds):
            while is_lasting():
                await changed.wait()
                changed.clear()


async def end_calls(calls: Sequence[Call], seconds: float) -> None:
    """End calls, politely at first. Those that do not notice are cancelled, and left behind after `seconds`."""
    for start in range(0, len(calls), _AT_ONCE):
        goodbyes = [asyncio.create_task(call.end()) for call in calls[start : start + _AT_ONCE]]
        _, stuck = await asyncio.wait(goodbyes, timeout=_GOODBYE_TIME)
        for goodbye in stuck:  # the client does not read
            goodbye.cancel()
    tasks = {call.task: call for call in calls if call.task is not None and not call.task.done()}
    if not tasks:
        return
    _, hanging = await asyncio.wait(tasks, timeout=_GOODBYE_TIME)
    for task in hanging:
        task.cancel()
    if hanging:
        _, hanging = await asyncio.wait(hanging, timeout=seconds)
    for task in hanging:
        logger.error("a call ignores its cancellation and is left behind", extra={"plugin": tasks[task].owner})
