"""What is wrong with rules, seen beside the routes that they are about."""

from collections.abc import Iterator, Sequence

from powerstrip import Finding, RouteInfo
from powerstrip_ratelimit.domain.patterns import RoutePattern, methods_of
from powerstrip_ratelimit.rules import Rule, Rules, most


def doubts(rules: Rules, routes: Sequence[RouteInfo]) -> Iterator[Finding]:
    """All that is: rules that limit nothing look as if they did."""
    for rule in rules.rules:
        yield from _missing(rule, routes)
        yield from _weak(rule)
    for pattern in (*(pattern for pattern, _ in rules.costs), *rules.exempt_paths):
        yield from _unmatched("'costs' or 'exempt.paths'", pattern, routes)
    for route in routes:
        for limit, name in route.limits.items():
            try:
                rules.stated(limit.rate, name, limit.cost)
            except ValueError as error:
                yield Finding("ratelimit.bad-rate", f"plugin '{route.plugin}' limits {route.path}: {error}")


def _missing(rule: Rule, routes: Sequence[RouteInfo]) -> Iterator[Finding]:
    name = f"policy '{rule.label.title}'"
    for pattern in rule.routes:
        yield from _unmatched(name, pattern, routes)
    for kind, wanted, there in (
        ("tag", rule.tags, {tag for route in routes for tag in route.tags}),
        ("plugin", rule.plugins, {route.plugin for route in routes}),
    ):
        for word in sorted(wanted - there):
            message = f"{name} is about the {kind} '{word}', which no route has"
            yield Finding("ratelimit.limits-nothing", message, level="warning")


def _unmatched(name: str, pattern: RoutePattern, routes: Sequence[RouteInfo]) -> Iterator[Finding]:
    there = [route for route in routes if pattern.means(route.path)]
    if any(pattern.method is None or pattern.method in (methods_of(route) or {pattern.method}) for route in there):
        return
    methods = sorted({method for route in there for method in methods_of(route)})
    hint = f"there is {', '.join(methods)} for it" if methods else "see `powerstrip routes`"
    message = f"{name} is about '{pattern}', which is no route"
    yield Finding("ratelimit.limits-nothing", message, hint=hint, level="warning")


def _weak(rule: Rule) -> Iterator[Finding]:
    if rule.replaces and (rule.key == "api-key" or rule.key.startswith("header:")):
        yield Finding(
            "ratelimit.forgeable-key",
            f"policy '{rule.label.title}' counts by '{rule.key}', which anybody can make up, and replaces others",
            hint="let the others count as well, or count by 'identity'",
            level="warning",
        )
    if rule.cost and rule.cost > most(rule.policy):
        yield Finding(
            "ratelimit.cost-above-limit",
            f"a request costs {rule.cost} under policy '{rule.label.title}', which has {most(rule.policy)} at most",
            hint="each request takes all there is: lower 'cost', or raise the rate or 'burst'",
            level="warning",
        )
