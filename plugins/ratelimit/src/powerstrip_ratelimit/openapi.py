"""What the OpenAPI document says about limits."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from powerstrip import ErrorResponse, RateLimitExceeded, RouteInfo
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm
from powerstrip_ratelimit.rules import Rules, Term

_CONVERTOR = re.compile(r"{([^}:]+):[^}]*}")
_INTEGER: Mapping[str, Any] = {"type": "integer", "minimum": 0}

_X_RATELIMIT: Mapping[str, str] = {
    "X-RateLimit-Limit": "Units per window of the tightest policy.",
    "X-RateLimit-Remaining": "Units that are left of it.",
    "X-RateLimit-Reset": "Unix seconds at which all of them are there again.",
}
_IETF: Mapping[str, str] = {
    "RateLimit": "What is left of each policy: `r` units, which have to do for `t` seconds.",
    "RateLimit-Policy": "Each policy: `q` units per window of `w` seconds.",
}
_RETRY_AFTER = "Retry-After"


class LimitsDocument:
    """Adds to each operation which policies apply to it, and how answers tell."""

    def __init__(self, rules: Rules, routes: Sequence[RouteInfo]) -> None:
        self._rules = rules
        self._routes = {
            (_CONVERTOR.sub(r"{\1}", route.path), method): route for route in routes for method in route.methods or ()
        }
        self._names = (
            *(_X_RATELIMIT if rules.settings.headers.x_ratelimit else ()),
            *(_IETF if rules.settings.headers.ietf else ()),
        )

    def describe(self, document: dict[str, Any]) -> None:
        """Change the document in place."""
        described = False
        for path, method, operation in _operations(document):
            route = self._routes.get((path, method))
            terms = self._rules.plan(route, method).every if route is not None else ()
            enforced = [term for term in terms if term.rule.policy.is_enforced]
            if enforced:
                described = True
                self._describe(operation, enforced)
        if described:
            headers = document.setdefault("components", {}).setdefault("headers", {})
            headers.update(self._components())

    def _describe(self, operation: dict[str, Any], terms: Sequence[Term]) -> None:
        operation["x-ratelimit"] = [_described(term) for term in terms]
        answers = operation["responses"]
        refusal = answers.setdefault(str(RateLimitExceeded.status), {"description": "", "content": _content()})
        refusal["description"] = refusal["description"] or f"`{RateLimitExceeded.type}`: {RateLimitExceeded.message}"
        refusal.setdefault("headers", {}).update(self._references((*self._names, _RETRY_AFTER)))
        for status, answer in answers.items():
            if status.startswith(("1", "2", "3")):
                answer.setdefault("headers", {}).update(self._references(self._names))

    @staticmethod
    def _references(names: Sequence[str]) -> dict[str, Any]:
        return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

    def _components(self) -> Iterator[tuple[str, Any]]:
        for name in self._names:
            if name in _IETF:
                example = '"default";r=59;t=59' if name == "RateLimit" else '"default";q=60;w=60'
                yield name, {"description": _IETF[name], "schema": {"type": "string"}, "example": example}
            else:
                yield name, {"description": _X_RATELIMIT[name], "schema": {**_INTEGER}}
        waiting = {"description": "Seconds to wait before asking again.", "schema": {**_INTEGER, "minimum": 1}}
        yield _RETRY_AFTER, waiting


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield path, method.upper(), operation


def _described(term: Term) -> dict[str, Any]:
    rule, policy = term.rule, term.rule.policy
    facts: dict[str, Any] = {
        "policy": rule.label.title,
        "algorithm": str(policy.algorithm),
        "limit": policy.limit,
        "key": rule.key,
    }
    if policy.algorithm is not Algorithm.CONCURRENT:
        facts |= {"window": policy.period // SECOND, "cost": term.cost}
    if policy.algorithm is Algorithm.GCRA:
        facts["burst"] = policy.burst
    if rule.roles:
        facts["roles"] = sorted(rule.roles)
    if rule.replaces:
        facts["replaces"] = sorted(rule.replaces)
    return facts


def _content() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}}}
