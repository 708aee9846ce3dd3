"""Callers' own rates, as plugins tell them."""

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from powerstrip import Clock, Identity
from powerstrip_ratelimit.domain.rates import parse_rate
from powerstrip_ratelimit.domain.rendering import Label
from powerstrip_ratelimit.hooks import RateLimitQuota
from powerstrip_ratelimit.rules import Rule, Term, with_rate
from powerstrip_ratelimit.settings import RatelimitSettings

logger = logging.getLogger(__name__)

_REMEMBERED = 50_000


class Quotas:
    """Remembers what plugins told about callers, for a while and for so many."""

    def __init__(self, clock: Clock) -> None:
        self._by_policy: dict[str, list[RateLimitQuota]] = {}
        self._ttl = 0.0
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[float, Rule]] = OrderedDict()

    def use(self, settings: RatelimitSettings) -> None:
        """Remember for as long as these settings say; what was known belongs to other policies."""
        self._ttl = settings.quota_ttl
        self._known.clear()

    def hear(self, quotas: Sequence[RateLimitQuota]) -> None:
        """Ask these from now on."""
        by_policy: dict[str, list[RateLimitQuota]] = defaultdict(list)
        for quota in quotas:
            by_policy[quota.policy].append(quota)
        self._by_policy = dict(by_policy)
        self._known.clear()

    def __bool__(self) -> bool:
        return bool(self._by_policy)

    async def applied(self, terms: Sequence[Term], identity: Identity) -> list[Term]:
        """The same terms, with the caller's own rates."""
        return [
            term._replace(rule=await self._own(term.rule, identity))
            if term.rule.policy.name in self._by_policy
            else term
            for term in terms
        ]

    async def _own(self, rule: Rule, identity: Identity) -> Rule:
        key, now = (rule.policy.name, identity.id), self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        own = rule
        for quota in self._by_policy[rule.policy.name]:
            try:
                text = await quota.find(identity)
                if text is not None:
                    policy = with_rate(rule.policy, parse_rate(text))
                    own = replace(rule, policy=policy, label=Label(rule.label.title, policy))
                    break
            except Exception:
                logger.exception("a quota could not be told", extra={"policy": rule.policy.name})
        self._known[key] = (now + self._ttl, own)
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return own
