"""Telling what was decided: to metrics, and to whoever reads the log."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from powerstrip import Clock
from powerstrip_ratelimit.domain.decisions import Count, Decision
from powerstrip_ratelimit.hooks import Outcome, RateLimitObserver

logger = logging.getLogger(__name__)

# A flood of requests must not become a flood of lines: so often, at most, for each policy.
_LOG_EVERY = 10.0


class Observation:
    """Passes decisions on to observers, and logs refusals: the first at once, then how many there were."""

    def __init__(self, clock: Clock) -> None:
        self._observers: list[RateLimitObserver] = []
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}

    def hear(self, observers: Sequence[RateLimitObserver]) -> None:
        """Tell these from now on."""
        self._observers = list(observers)

    def is_wanted(self, decision: Decision) -> bool:
        """Whether there is anything to tell about a decision."""
        if self._observers or not decision.allowed:
            return True
        for verdict in decision.verdicts:  # noqa: SIM110 - any() costs as much again on each request
            if not verdict.allowed:
                return True
        return False

    def note(self, decision: Decision, counts: Sequence[Count]) -> None:
        """Tell about one decision."""
        for verdict, count in zip(decision.verdicts, counts, strict=False):
            if verdict.allowed:
                # Where another policy refused, this one neither refused nor counted anything.
                if decision.allowed:
                    self._tell(count.policy.name, "allowed")
                continue
            outcome: Outcome = "refused" if count.policy.is_enforced else "observed"
            self._tell(count.policy.name, outcome)
            self._log(count, outcome)

    def store_changed(self, *, is_available: bool) -> None:
        """Tell that the store is away, or there again."""
        for observer in list(self._observers):
            with self._dismissing(observer):
                observer.store_changed(is_available=is_available)

    def _tell(self, policy: str, outcome: Outcome) -> None:
        for observer in list(self._observers):
            with self._dismissing(observer):
                observer.decided(policy, outcome)

    @contextmanager
    def _dismissing(self, observer: RateLimitObserver) -> Iterator[None]:
        try:
            yield
        except Exception:
            logger.exception("an observer failed and is told no more", extra={"observer": repr(observer)})
            self._observers.remove(observer)

    def _log(self, count: Count, outcome: Outcome) -> None:
        now, name = self._clock.monotonic(), count.policy.name
        logged_at, unlogged = self._logged.get(name, (-_LOG_EVERY, 0))
        if now - logged_at < _LOG_EVERY:
            self._logged[name] = (logged_at, unlogged + 1)
            return
        self._logged[name] = (now, 0)
        message = "rate limit exceeded" if outcome == "refused" else "rate limit would have been exceeded"
        facts = {"policy": name, "client": count.subject, "not_logged": unlogged}
        logger.warning(message, extra=facts)
