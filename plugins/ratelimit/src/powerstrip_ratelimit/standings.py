"""What a client has left, under every policy that may concern it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import Scope

from powerstrip import Identity
from powerstrip_ratelimit.domain.decisions import Count, Verdict
from powerstrip_ratelimit.domain.policies import Algorithm
from powerstrip_ratelimit.inventory import Inventory
from powerstrip_ratelimit.rules import Rule, applicable
from powerstrip_ratelimit.service import Limiter

_KEPT_IN_MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy, and what one subject has left of it."""

    rule: Rule
    subject: str
    verdict: Verdict

    @property
    def is_used(self) -> bool:
        """Whether anything is counted."""
        policy = self.rule.policy
        most = policy.limit if policy.algorithm is not Algorithm.GCRA else policy.burst
        return self.verdict.reset_after > 0 or self.verdict.remaining < most


class Standings:
    """Answers what is left, and forgets what was counted; neither counts."""

    def __init__(self, limiter: Limiter, inventory: Inventory) -> None:
        self._limiter = limiter
        self._inventory = inventory

    @property
    def are_of_one_process(self) -> bool:
        """Whether counters are kept in this process's memory, where no other sees them."""
        return bool(self._limiter.store.facts()["store"] == _KEPT_IN_MEMORY)

    @property
    def are_known(self) -> bool:
        """Whether the store answered. While it is away, what is told is what this process knows."""
        return self._limiter.store.is_available

    async def of_caller(self, scope: Scope, identity: Identity | None) -> Sequence[Standing]:
        """The standings of whoever sent a request; none for those who are exempt."""
        if self._limiter.is_exempt(scope, identity):
            return []
        roles = frozenset() if identity is None else identity.roles
        found = []
        for rule in await self._limiter.with_quotas(applicable(self._rules(), roles), identity):
            subject = self._limiter.subjects.find(rule.key, scope, identity)
            if subject is not None and rule.policy.is_enforced:
                found.append((rule, subject))
        return await self._standings(found)

    async def of_subject(self, text: str) -> Sequence[Standing]:
        """The standings of a subject that an operator names (see `Subjects.from_text`)."""
        subject = self._limiter.subjects.from_text(text)
        return await self._standings([(rule, subject) for rule in self._rules()])

    async def reset(self, text: str) -> int:
        """Forget all that was counted for a subject; gives under how many policies there was anything."""
        subject = self._limiter.subjects.from_text(text)
        return await self._limiter.store.reset([Count(rule.policy, subject) for rule in self._rules()])

    def subject(self, text: str) -> str:
        """The subject that is counted for what an operator names."""
        return self._limiter.subjects.from_text(text)

    def _rules(self) -> list[Rule]:
        rules = self._limiter.rules
        stated = (rules.stated(limit.rate, name, limit.cost) for name, limit in self._inventory.stated.items())
        return [*rules.rules, *(term.rule for term in stated)]

    async def _standings(self, asked: Sequence[tuple[Rule, str]]) -> list[Standing]:
        verdicts = await self._limiter.store.peek([Count(rule.policy, subject) for rule, subject in asked])
        return [Standing(rule, subject, verdict) for (rule, subject), verdict in zip(asked, verdicts, strict=False)]
