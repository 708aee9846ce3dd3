"""Refusals that need not be asked for again: nothing is given back before its time."""

from collections.abc import Callable, Sequence

from powerstrip_ratelimit.domain.decisions import Count, Decision, Verdict
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm

# Beyond that the store is asked again, because an operator may have reset a counter or replaced the server.
_LONGEST = 5 * SECOND
_MOST = 10_000

Question = tuple[tuple[object, str, int], ...]


class Denials:
    """Remembers what a store has refused, until it would not.

    A client that goes on asking costs no round trip. Forgetting one costs a question, so room is made by forgetting
    those that came first.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        """`now` tells microseconds since some moment, which never go backwards."""
        self._now = now
        self._known: dict[Question, tuple[int, int, Sequence[Verdict]]] = {}

    def get(self, counts: Sequence[Count]) -> Decision | None:
        """The refusal that these are known to get, with the times as they are now."""
        if not self._known:
            return None
        question = _question(counts)
        known = self._known.get(question)
        if known is None:
            return None
        since, until, verdicts = known
        now = self._now()
        if now >= until:
            del self._known[question]
            return None
        return Decision(False, [_later(verdict, now - since) for verdict in verdicts])

    def add(self, counts: Sequence[Count], verdicts: Sequence[Verdict]) -> None:
        """Remember a refusal, unless it may end at any moment."""
        waits = [
            verdict.retry_after if count.policy.algorithm is not Algorithm.CONCURRENT else 0
            for count, verdict in zip(counts, verdicts, strict=True)
            if count.policy.is_enforced and not verdict.allowed
        ]
        wait = min(*waits, _LONGEST) if waits else 0
        if wait > 0:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            now = self._now()
            self._known[_question(counts)] = (now, now + wait, verdicts)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


def _question(counts: Sequence[Count]) -> Question:
    return tuple((count.policy, count.subject, count.cost) for count in counts)


def _later(verdict: Verdict, passed: int) -> Verdict:
    return Verdict(
        verdict.allowed,
        verdict.remaining,
        max(verdict.retry_after - passed, 0),
        max(verdict.reset_after - passed, 0),
    )
