"""A circuit breaker: while the server is away nobody waits to find that out again.

    closed ── a call fails ──> open ── a probe succeeds ──> half-open ── a call succeeds ──> closed
                                ▲                               │
                                └───────── that call fails ─────┘

Probes run in the background, so no request pays for one. While half-open, one call at a time is let through; the others
are refused as if it were open.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from enum import Enum

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05  # seconds; doubled each time


class State(Enum):
    """Whether calls are let through: all, none, or one to try it out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class OpenCircuit(Exception):
    """The call is refused: the server is away, as far as anybody knows."""


class CircuitBreaker:
    """Decides which calls are let through. To be used in one event loop."""

    def __init__(self, name: str, probe: Callable[[], Awaitable[object]], longest_pause: float) -> None:
        """`probe` asks the server for something and raises when it does not answer; `longest_pause` is how many seconds
        may lie between two probes. `name` is what the log calls it."""
        self._name = name
        self._probe = probe
        self._longest_pause = longest_pause
        self._state = State.CLOSED
        self._epoch = 0
        self._is_tried_out = False
        self._pause = _FIRST_PAUSE
        self._prober: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self._state

    def admit(self) -> int:
        """Let a call through; returns what to tell its outcome with. Raises OpenCircuit."""
        if self._state is State.CLOSED:
            return self._epoch
        if self._state is State.OPEN or self._is_tried_out:
            raise OpenCircuit
        self._is_tried_out = True
        return self._epoch

    def succeeded(self, admitted: int) -> None:
        """The server has answered."""
        if admitted == self._epoch and self._state is State.HALF_OPEN:
            self._enter(State.CLOSED)
            self._pause = _FIRST_PAUSE
            logger.info("%s is back", self._name)

    def failed(self, admitted: int, error: BaseException) -> None:
        """The server has not answered. One that was admitted before the last change says nothing about now."""
        if admitted != self._epoch:
            return
        if self._state is State.CLOSED:
            # An outage is one line, not one for each request that it costs.
            reason = str(error).partition("\n")[0]
            logger.warning("%s is not available", self._name, extra={"reason": f"{type(error).__name__}: {reason}"})
            self._open(first_pause=0.0)
        else:
            self._open(first_pause=self._next_pause())

    def abandoned(self, admitted: int) -> None:
        """The call has ended without an answer of the server's: it was cancelled, say."""
        if admitted == self._epoch:
            self._is_tried_out = False

    async def close(self) -> None:
        """Stop probing."""
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.wait([self._prober])

    def _enter(self, state: State) -> None:
        self._state = state
        self._epoch += 1
        self._is_tried_out = False

    def _open(self, first_pause: float) -> None:
        self._enter(State.OPEN)
        self._prober = asyncio.create_task(self._probe_until_it_answers(first_pause), name=f"{self._name}: probe")

    async def _probe_until_it_answers(self, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            try:
                await self._probe()
            except Exception:  # noqa: BLE001 - whatever it was, the server is still away
                pause = self._next_pause()
            else:
                self._enter(State.HALF_OPEN)
                return

    def _next_pause(self) -> float:
        """Blurred, so that many processes don't come back at once."""
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._pause = min(self._pause * 2, self._longest_pause)
        return pause
