"""Which policies apply to a request: worked out once per route, from what operators set and authors stated."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from weakref import ReferenceType, ref

from powerstrip import RouteInfo
from powerstrip_ratelimit.domain.patterns import RoutePattern, parse_pattern, plain_method
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.domain.rates import Rate, parse_rate
from powerstrip_ratelimit.domain.rendering import Label
from powerstrip_ratelimit.settings import DEFAULT, PolicySettings, RatelimitSettings

_CODE = "code "
# Sets of roles, and routes, that plans are remembered for; more would be made up by somebody.
_REMEMBERED_ROLES = 64
_REMEMBERED_PLANS = 20_000
_REMEMBERED_STATED = 2_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy, and what it is about."""

    policy: Policy
    label: Label
    key: str = "client"
    routes: tuple[RoutePattern, ...] = ()
    methods: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    plugins: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    cost: int | None = None
    replaces: frozenset[str] = frozenset()
    counts_messages: bool = False
    is_of_route: bool = False
    """Whether it stands in `routes`, and so replaces what the route's author stated."""

    def applies(self, route: RouteInfo | None, method: str) -> bool:
        """Whether it is about such requests, whoever sends them."""
        if self.methods and plain_method(method) not in self.methods:
            return False
        if route is None:
            return not (self.routes or self.tags or self.plugins)
        return (
            (not self.routes or any(pattern.matches(route, method) for pattern in self.routes))
            and (not self.tags or not self.tags.isdisjoint(route.tags))
            and (not self.plugins or route.plugin in self.plugins)
        )


class Term(NamedTuple):
    """A rule and the units that a request takes under it."""

    rule: Rule
    cost: int


class Plan:
    """What applies to the requests of one route and method."""

    def __init__(self, terms: Sequence[Term], stated: Iterable[str] = (), *, is_exempt: bool = False) -> None:
        self.is_exempt = is_exempt
        self.stated = frozenset(_CODE + name for name in stated)
        """The limits that the route's author stated, whether they are among the terms or replaced by others."""
        self._terms = tuple(terms)
        self._by_roles: dict[frozenset[str], tuple[Term, ...]] = {}

    @property
    def every(self) -> tuple[Term, ...]:
        """What may apply, whoever calls."""
        return self._terms

    def terms(self, roles: frozenset[str]) -> tuple[Term, ...]:
        """What applies to a caller with these roles; strangers have none."""
        found = self._by_roles.get(roles)
        if found is None:
            if len(self._by_roles) >= _REMEMBERED_ROLES:
                self._by_roles.clear()
            found = self._by_roles[roles] = tuple(self._chosen(roles))
        return found

    def _chosen(self, roles: frozenset[str]) -> Iterator[Term]:
        applying = [term for term in self._terms if not term.rule.roles or term.rule.roles & roles]
        replaced = {name for term in applying for name in term.rule.replaces}
        return (term for term in applying if term.rule.policy.name not in replaced)


@dataclass(frozen=True)
class Rules:
    """All rules of one config."""

    rules: tuple[Rule, ...]
    costs: tuple[tuple[RoutePattern, int], ...]
    exempt_paths: tuple[RoutePattern, ...]
    settings: RatelimitSettings
    _plans: dict[tuple[int, str, bool], tuple[ReferenceType[RouteInfo] | None, Plan]] = field(default_factory=dict)
    """By the route's identity, and weakly: a reload brings other routes, and the old ones should go."""
    _stated: dict[tuple[str, str, int], Term] = field(default_factory=dict)

    def plan(self, route: RouteInfo | None, method: str, *, messages: bool = False) -> Plan:
        """What applies to requests of a route (None: to those that none answers), or to messages of a WebSocket."""
        if route is None:
            # Anybody can make methods up.
            method = method if method in _METHODS else "OTHER"
        key = (id(route), method, messages)
        found = self._plans.get(key)
        if found is not None and (found[0] is None or found[0]() is route):
            return found[1]
        if len(self._plans) >= _REMEMBERED_PLANS:
            self._plans.clear()
        plan = self._made(route, method, messages=messages)
        self._plans[key] = (None if route is None else ref(route), plan)
        return plan

    def stated(self, rate: str, name: str, cost: int) -> Term:
        """A limit that an author stated in code. Raises ValueError for what is no rate."""
        key = (rate, name, cost)
        term = self._stated.get(key)
        if term is None:
            policy = _policy(_CODE + name, parse_rate(rate), PolicySettings(rate=rate), self.settings)
            term = Term(Rule(policy, Label(name, policy)), min(cost, most(policy)))
            if len(self._stated) >= _REMEMBERED_STATED:
                self._stated.clear()
            self._stated[key] = term
        return term

    def _made(self, route: RouteInfo | None, method: str, *, messages: bool) -> Plan:
        if route is not None and any(pattern.matches(route, method) for pattern in self.exempt_paths):
            return Plan((), is_exempt=True)
        cost = next((cost for pattern, cost in self.costs if route and pattern.matches(route, method)), 1)
        rules = [rule for rule in self.rules if rule.counts_messages is messages and rule.applies(route, method)]
        terms = [Term(rule, min(rule.cost or cost, most(rule.policy))) for rule in rules]
        limits = {} if route is None or messages else route.limits
        if not any(rule.is_of_route for rule in rules):
            terms += [self.stated(limit.rate, name, limit.cost) for limit, name in limits.items()]
        return Plan(terms, limits.values())


_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"))


def make_rules(settings: RatelimitSettings) -> Rules:
    """The rules that settings state."""
    rules: list[Rule] = []
    if settings.default is not None:
        rules.append(_rule(DEFAULT, PolicySettings(rate=settings.default), settings))
    rules += [_rule(name, _described(value), settings) for name, value in settings.policies.items()]
    for text, value in settings.routes.items():
        rule = _rule(text, _described(value), settings)
        rules.append(replace(rule, routes=(parse_pattern(text), *rule.routes), is_of_route=True))
    costs = tuple((parse_pattern(text), cost) for text, cost in settings.costs.items())
    return Rules(tuple(rules), costs, tuple(map(parse_pattern, settings.exempt.paths)), settings)


def _described(value: str | PolicySettings) -> PolicySettings:
    return PolicySettings(rate=value) if isinstance(value, str) else value


def _rule(name: str, described: PolicySettings, settings: RatelimitSettings) -> Rule:
    rate = parse_rate(described.rate) if described.rate else None
    policy = _policy(name, rate, described, settings)
    return Rule(
        policy,
        Label(name, policy),
        described.key,
        tuple(map(parse_pattern, described.routes)),
        frozenset(map(plain_method, described.methods)),
        frozenset(described.tags),
        frozenset(described.plugins),
        frozenset(described.roles),
        described.cost,
        frozenset(described.replaces),
        described.messages,
    )


def _policy(name: str, rate: Rate | None, described: PolicySettings, settings: RatelimitSettings) -> Policy:
    is_enforced = (described.mode or settings.mode) == "enforce"
    if rate is None:
        limit = described.concurrent or 1
        return Policy(name, Algorithm.CONCURRENT, limit, settings.lease * SECOND, 0, is_enforced)
    algorithm = Algorithm(described.algorithm or settings.algorithm)
    burst = described.burst or settings.burst or -(-rate.limit // 10)
    return Policy(name, algorithm, rate.limit, rate.seconds * SECOND, burst, is_enforced)


def with_rate(policy: Policy, rate: Rate) -> Policy:
    """The same policy at another rate; its burst grows and shrinks along."""
    burst = max(policy.burst * rate.limit // policy.limit, 1)
    return replace(policy, limit=rate.limit, period=rate.seconds * SECOND, burst=burst)


def most(policy: Policy) -> int:
    """The units that one request can take at most."""
    return policy.burst if policy.algorithm is Algorithm.GCRA else policy.limit


def applicable(rules: Iterable[Rule], roles: frozenset[str]) -> list[Rule]:
    """The rules that can apply to a caller with these roles, on whatever route."""
    applying = [rule for rule in rules if not rule.roles or rule.roles & roles]
    replaced = {name for rule in applying if not (rule.routes or rule.tags or rule.plugins) for name in rule.replaces}
    return [rule for rule in applying if rule.policy.name not in replaced]
