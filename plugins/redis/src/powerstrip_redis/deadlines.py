"""Time limits for answers, with one timer for all of them: one for each takes a sixth of the time of a round trip."""

import asyncio

from powerstrip_redis.connections import CancellableConnection

# An event loop that was held up may run its timers before it reads what has arrived meanwhile.
_LAST_CHANCE = 0.005


class Deadlines:
    """Cuts off the connections whose answers are overdue."""

    def __init__(self) -> None:
        self._due: dict[CancellableConnection, float] = {}
        self._late: set[CancellableConnection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, connection: CancellableConnection, within: float) -> float:
        """An answer is due in `within` seconds; returns when that is, by the loop's clock."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._due[connection] = due = self._loop.time() + within
        if self._timer is None or self._timer.when() > due:
            self._arm(due)
        return due

    def end(self, connection: CancellableConnection) -> None:
        """The answer has come, or is not waited for any more. (The timer goes on: it will serve the next.)"""
        self._due.pop(connection, None)
        if self._late:
            self._late.discard(connection)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look) if self._loop else None

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time() if self._loop else 0.0
        for connection in [connection for connection, due in self._due.items() if due <= now]:
            if connection in self._late:
                self.end(connection)
                connection.cut_off()
            else:
                self._late.add(connection)
                self._due[connection] = now + _LAST_CHANCE
        if self._due:
            self._arm(min(self._due.values()))
