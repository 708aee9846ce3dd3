"""Deciding about requests."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from math import inf
from uuid import uuid4

from fastapi.requests import HTTPConnection
from starlette.types import Scope

from powerstrip import Clock, Exchange, Identity, RateLimiter, RateLimitExceeded, RouteInfo
from powerstrip_ratelimit.contributions import Contributions
from powerstrip_ratelimit.domain.decisions import Count, Decision, Verdict, WatchedStore, new
from powerstrip_ratelimit.domain.patterns import WEBSOCKET
from powerstrip_ratelimit.domain.policies import Algorithm
from powerstrip_ratelimit.domain.rendering import Entry, RawHeaders, ratelimit, tightest, whole_seconds, x_ratelimit
from powerstrip_ratelimit.observation import Observation
from powerstrip_ratelimit.quotas import Quotas
from powerstrip_ratelimit.rules import Rule, Rules, Term
from powerstrip_ratelimit.subjects import Subjects

logger = logging.getLogger(__name__)

STATE = "ratelimit"
"""The key of a request's state under which its `Admission` is found."""
_NO_ROLES: frozenset[str] = frozenset()


class Admission:
    """What was decided about one request so far."""

    __slots__ = ("is_exempt", "leases", "rules", "settled", "verdicts")

    def __init__(self, *, is_exempt: bool = False) -> None:
        self.is_exempt = is_exempt
        self.rules: list[Rule] = []
        self.verdicts: Sequence[Verdict] = ()
        self.leases: Sequence[Count] = ()
        self.settled: frozenset[str] = frozenset()
        """Limits that authors stated, counted already, whose dependencies have yet to run."""

    @property
    def entries(self) -> list[Entry]:
        """What was asked, and what was answered."""
        return [
            Entry(rule.label, rule.policy, verdict) for rule, verdict in zip(self.rules, self.verdicts, strict=False)
        ]


class Limiter(RateLimiter):
    """Counts requests, and refuses those that are too many.

    One question to the store decides about all policies of a request, before anything of it is read but its head: the
    limits that the route's author stated are among them.
    """

    def __init__(self, rules: Rules, store: WatchedStore, contributions: Contributions, clock: Clock) -> None:
        self.store = store
        self._has_other_rules = asyncio.Event()
        self.subjects = Subjects()
        self.observation = Observation(clock)
        self._quotas = Quotas(clock)
        self._clock = clock
        self.hear(contributions)
        self.use(rules)
        # Ids of leases: unlike those of any other process.
        self._process = uuid4().hex
        self._numbers = count()
        self._held: dict[str, Count] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._time_checked_until = -inf
        self._time_offset = 0.0

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on. What was counted stays: no key depends on a rate."""
        settings = rules.settings
        self.rules = rules
        self._headers = settings.headers
        self._exempt_roles = frozenset(settings.exempt.roles)
        self._has_exempt = bool(settings.exempt.roles or settings.exempt.networks)
        self.subjects.use(settings)
        self._quotas.use(settings)
        self.store.use(settings.max_keys)
        self._has_other_rules.set()  # which may have shorter leases

    def hear(self, contributions: Contributions) -> None:
        """Count by what plugins tell from now on."""
        self.contributions = contributions
        self.subjects.hear(contributions.keys)
        self._quotas.hear(contributions.quotas)
        self.observation.hear(contributions.observers)

    async def admit(self, exchange: Exchange) -> None:
        """Count a request that has just come; raises RateLimitExceeded for one too many."""
        scope = exchange.scope
        route = exchange.route
        method = scope.get("method", WEBSOCKET)
        plan = self.rules.plan(route, method)
        state = scope["state"]
        identity: Identity | None = state.get("identity")
        if plan.is_exempt or (self._has_exempt and self.is_exempt(scope, identity)):
            state[STATE] = Admission(is_exempt=True)
            return
        terms = plan.terms(_NO_ROLES if identity is None else identity.roles)
        admission = state[STATE] = Admission()
        await self._decide(terms, scope, identity, admission)
        admission.settled = plan.stated

    async def admit_message(self, scope: Scope, route: RouteInfo | None) -> None:
        """Count what a client sent over a WebSocket; raises RateLimitExceeded for one too many."""
        plan = self.rules.plan(route, WEBSOCKET, messages=True)
        identity: Identity | None = scope["state"].get("identity")
        if plan.is_exempt or self.is_exempt(scope, identity):
            return
        terms = plan.terms(_NO_ROLES if identity is None else identity.roles)
        await self._decide(terms, scope, identity, Admission())

    async def count(self, connection: HTTPConnection, rate: str, *, scope: str, cost: int) -> Mapping[str, str]:
        state = connection.scope["state"]
        admission: Admission | None = state.get(STATE)
        if admission is None:
            admission = state[STATE] = Admission()
        if admission.is_exempt:
            return {}
        term = self.rules.stated(rate, scope, cost)
        name = term.rule.policy.name
        if name in admission.settled:
            admission.settled -= {name}
            return {}
        await self._decide([term], connection.scope, state.get("identity"), admission)
        return {}  # the answer's head passes by our interceptor, which sets them

    def is_exempt(self, scope: Scope, identity: Identity | None) -> bool:
        """Whether a request does not count because of who sent it."""
        if identity is not None and self._exempt_roles and not self._exempt_roles.isdisjoint(identity.roles):
            return True
        return self.subjects.is_exempt(scope)

    async def with_quotas(self, rules: Sequence[Rule], identity: Identity | None) -> list[Rule]:
        """The same rules, with the caller's own rates."""
        terms = [Term(rule, 1) for rule in rules]
        if identity is not None and self._quotas:
            terms = await self._quotas.applied(terms, identity)
        return [term.rule for term in terms]

    def headers(self, entries: Sequence[Entry]) -> RawHeaders:
        """What to tell about these policies; those that are only observed are nobody's business."""
        shown = [entry for entry in entries if entry.policy.is_enforced]
        if not shown:
            return []
        headers: RawHeaders = []
        if self._headers.x_ratelimit:
            chosen = tightest(shown)
            if chosen is not None:
                headers += x_ratelimit(chosen, self._unix_time())
        if self._headers.ietf:
            headers += ratelimit(shown)
        return headers

    def _unix_time(self) -> float:
        now = self._clock.monotonic()
        if now >= self._time_checked_until:  # the wall clock costs more to ask, and is rarely corrected
            self._time_offset = self._clock.now().timestamp() - now
            self._time_checked_until = now + 1
        return now + self._time_offset

    def end_leases(self, admission: Admission) -> None:
        """Let go of what a request held. Nobody waits for it: the store may be slow."""
        leases, admission.leases = admission.leases, ()
        for lease in leases:
            self._held.pop(lease.lease, None)
        task = asyncio.get_running_loop().create_task(self._release(leases), name="powerstrip:ratelimit:release")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def renew_leases(self) -> None:
        """Let what is held last for another while; for as long as it is held."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.rules.settings.lease / 3):
                    await self._has_other_rules.wait()
            self._has_other_rules.clear()
            held = list(self._held.values())
            if held:
                await self.store.renew(held)

    async def close(self) -> None:
        """Wait until everything that was let go of has been released."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def _release(self, leases: Sequence[Count]) -> None:
        try:
            await self.store.release(leases)
        except Exception:
            # They end by themselves when nobody renews them.
            logger.warning("leases could not be released", exc_info=True, extra={"leases": len(leases)})

    async def _decide(
        self, terms: Sequence[Term], scope: Scope, identity: Identity | None, admission: Admission
    ) -> None:
        if self._quotas and identity is not None:
            terms = await self._quotas.applied(terms, identity)
        rules, counts = self._counts(terms, scope, identity)
        if not counts:
            return
        decision = await self.store.decide(counts)
        allowed, verdicts = decision
        admission.rules += rules
        admission.verdicts = [*admission.verdicts, *verdicts] if admission.verdicts else verdicts
        if self.observation.is_wanted(decision):
            self.observation.note(decision, counts)
        if not allowed:
            raise self._refusal(rules, verdicts)
        for asked in counts:
            if asked.lease:
                self._hold(counts, decision, admission)
                break

    def _counts(self, terms: Sequence[Term], scope: Scope, identity: Identity | None) -> tuple[list[Rule], list[Count]]:
        client = self.subjects.client(scope, identity)
        rules: list[Rule] = []
        counts: list[Count] = []
        for rule, cost in terms:
            subject = client if rule.key == "client" else self.subjects.find(rule.key, scope, identity)
            if subject is not None:
                rules.append(rule)
                lease = self._new_lease() if rule.policy.algorithm is Algorithm.CONCURRENT else ""
                counts.append(new(Count, (rule.policy, subject, cost, lease)))
        return rules, counts

    def _new_lease(self) -> str:
        return f"{self._process}-{next(self._numbers)}"

    def _hold(self, counts: Sequence[Count], decision: Decision, admission: Admission) -> None:
        allowed = [asked for asked, verdict in zip(counts, decision.verdicts, strict=False) if verdict.allowed]
        leases = [asked for asked in allowed if asked.lease]
        admission.leases = [*admission.leases, *leases]
        self._held.update({asked.lease: asked for asked in leases})

    def _refusal(self, rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> RateLimitExceeded:
        entries = [Entry(rule.label, rule.policy, said) for rule, said in zip(rules, verdicts, strict=False)]
        refused = [entry for entry in entries if entry.policy.is_enforced and not entry.verdict.allowed]
        seconds = whole_seconds(max((entry.verdict.retry_after for entry in refused), default=0))
        headers = {name.decode(): value.decode() for name, value in self.headers(entries)}
        titles = [entry.label.title for entry in refused]
        return RateLimitExceeded(
            f"Too many requests: try again in {seconds} s.",
            headers={**headers, "retry-after": str(seconds)},
            extra={"retry_after": seconds, "violated_policies": titles},
        )
