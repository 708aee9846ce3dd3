"""What happens while the store of counters is away."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from powerstrip import ServiceUnavailable
from powerstrip_ratelimit.domain.decisions import Count, Decision, Store, Verdict, WatchedStore
from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_ratelimit.stores.memory import MemoryStore

logger = logging.getLogger(__name__)

_RETRY_AFTER = "5"  # seconds; a store that restarts is rarely away for longer


class Tell(Protocol):
    """Is told when the store goes away, and when it is back."""

    def __call__(self, *, is_available: bool) -> None: ...


class FailoverStore(WatchedStore):
    """Asks a store that may be away, and does something else meanwhile.

    `allow` lets everything pass uncounted, `deny` refuses everything with 503, `local` counts in this process's memory:
    each process then admits the limit. A change is logged and told once, not for each request.
    """

    def __init__(self, store: Store, memory: MemoryStore, on_failure: str, tell: Tell) -> None:
        """`tell(is_available=...)` is called when that changes."""
        self._store = store
        self._memory = memory
        self._on_failure = on_failure
        self._tell = tell
        self._is_available = True

    def use(self, max_keys: int) -> None:
        self._memory.use(max_keys)

    def facts(self) -> Mapping[str, Any]:
        if self._is_available:
            return {"store": "redis"}
        return {"store": "redis", "meanwhile": self._on_failure, "counters": self._memory.keys}

    @property
    def is_available(self) -> bool:
        return self._is_available

    async def decide(self, counts: Sequence[Count]) -> Decision:
        try:
            decision = await self._store.decide(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)
        else:
            self._note_answer()
            return decision
        if self._on_failure == "deny":
            raise ServiceUnavailable(headers={"Retry-After": _RETRY_AFTER})
        return await self._memory.decide(counts) if self._on_failure == "local" else Decision(True, ())

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        try:
            verdicts = await self._store.peek(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)
            return await self._memory.peek(counts)
        self._note_answer()
        return verdicts

    async def renew(self, counts: Sequence[Count]) -> None:
        await self._memory.renew(counts)
        try:
            await self._store.renew(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)

    async def release(self, counts: Sequence[Count]) -> None:
        # A lease may have begun in either.
        await self._memory.release(counts)
        try:
            await self._store.release(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)

    async def reset(self, counts: Sequence[Count]) -> int:
        """Forget in both; raises StoreUnavailableError, since nobody would believe that nothing was forgotten."""
        had = await self._memory.reset(counts)
        return max(await self._store.reset(counts), had)

    def _note_failure(self, error: StoreUnavailableError) -> None:
        if self._is_available:
            self._is_available = False
            facts = {"meanwhile": self._on_failure, "error": str(error)}
            logger.error("the store of rate limits is away", extra=facts)
            self._tell(is_available=False)

    def _note_answer(self) -> None:
        if not self._is_available:
            self._is_available = True
            logger.warning("the store of rate limits is back")
            self._tell(is_available=True)
