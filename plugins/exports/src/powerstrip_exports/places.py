"""What callers may have open at a time."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from powerstrip import Identity, RateLimitExceeded


class Places:
    """Counts what callers have open in this process."""

    def __init__(self, refusal: Callable[[], RateLimitExceeded]) -> None:
        """`refusal` makes the problem for whoever has as many as allowed."""
        self._refusal = refusal
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """Those of all callers."""
        return self._taken.total()

    def take(self, caller: Identity | None, most: int) -> None:
        """Take a place, which is given back with `leave`. Raises the refusal when the caller has `most`."""
        name = _name_of(caller)
        if self._taken[name] >= most:
            raise self._refusal()
        self._taken[name] += 1

    def leave(self, caller: Identity | None) -> None:
        name = _name_of(caller)
        self._taken[name] -= 1
        if not self._taken[name]:
            del self._taken[name]

    async def seated(self, body: AsyncGenerator[bytes], caller: Identity | None, most: int) -> AsyncGenerator[bytes]:
        """The same chunks, with a place from the first of them until the end of all or the closing. Raises the refusal
        before the first when the caller has `most`."""
        self.take(caller, most)
        try:
            async with aclosing(body):
                async for chunk in body:
                    yield chunk
        finally:
            self.leave(caller)


def _name_of(caller: Identity | None) -> str:
    return caller.id if caller else ""
