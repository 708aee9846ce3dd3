"""What happens while the store of counters is away."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from powerstrip import ServiceUnavailable
from powerstrip_ratelimit.domain.decisions import Count, Decision, Store, Verdict, WatchedStore
from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_ratelimit.stores.denials import Denials
from powerstrip_ratelimit.stores.memory import MemoryStore

logger = logging.getLogger(__name__)

_RETRY_AFTER = "5"  # seconds; a store that restarts is rarely away for longer


OnFailure = Literal["allow", "deny", "local"]


class RemoteStore(Store, Protocol):
    """A store that may be away."""

    @property
    def is_reachable(self) -> bool:
        """Whether asking makes sense, as far as anybody knows."""
        ...


class Tell(Protocol):
    """Is told when the store goes away, and when it is back."""

    def __call__(self, *, is_available: bool) -> None: ...


class FailoverStore(WatchedStore):
    """Asks a store that may be away, and does something else meanwhile.

    `allow` lets everything pass uncounted, `deny` refuses everything with 503, `local` counts in this process's memory:
    each process then admits the limit. A change is logged and told once, not for each request.

    Refusals are remembered until they end, for some seconds at most, and answered without asking.
    """

    def __init__(
        self, store: RemoteStore, memory: MemoryStore, on_failure: OnFailure, *, denials: Denials, tell: Tell
    ) -> None:
        """`tell(is_available=...)` is called when that changes."""
        self._store = store
        self._denials = denials
        self._memory = memory
        self._on_failure = on_failure
        self._tell = tell
        self._is_available = True

    def use(self, max_keys: int) -> None:
        self._memory.use(max_keys)

    def facts(self) -> Mapping[str, Any]:
        if self.is_available:
            return {"store": "redis"}
        return {"store": "redis", "meanwhile": self._on_failure, "counters": self._memory.keys}

    @property
    def is_available(self) -> bool:
        # It may be back, and nobody has asked since.
        return self._is_available or self._store.is_reachable

    async def decide(self, counts: Sequence[Count]) -> Decision:
        known = self._denials.get(counts)
        if known is not None:
            return known
        try:
            decision = await self._store.decide(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)
            return await self._decide_without(counts)
        self._note_answer()
        if not decision.allowed:
            self._denials.add(counts, decision.verdicts)
        return decision

    async def peek(self, counts: Sequence[Count]) -> Sequence[Verdict]:
        try:
            verdicts = await self._store.peek(counts)
        except StoreUnavailableError as error:
            self._note_failure(error)
            self._refuse_if_wanted()
            return await self._memory.peek(counts) if self._on_failure == "local" else ()
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
        self._denials.clear()
        had = await self._memory.reset(counts)
        return max(await self._store.reset(counts), had)

    async def _decide_without(self, counts: Sequence[Count]) -> Decision:
        self._refuse_if_wanted()
        return await self._memory.decide(counts) if self._on_failure == "local" else Decision(True, ())

    def _refuse_if_wanted(self) -> None:
        if self._on_failure == "deny":
            raise ServiceUnavailable(headers={"Retry-After": _RETRY_AFTER})

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
