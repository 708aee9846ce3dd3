"""The hooks that ratelimit opens to other plugins. Each is called once, while ratelimit starts."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from fastapi.requests import HTTPConnection

from powerstrip import Identity, hookspec

Outcome = Literal["allowed", "refused", "observed"]


@dataclass(frozen=True, slots=True)
class RateLimitKey:
    """Something that requests can be counted by: policies name it as `key: NAME`.

    `find` is called on each request that such a policy applies to; None means that the policy does not apply. What a
    client can make up is no key: it would have as many quotas as it likes.
    """

    name: str
    find: Callable[[HTTPConnection], str | None]


@dataclass(frozen=True, slots=True)
class RateLimitQuota:
    """A caller's own rate under a policy, from a billing plan, say.

    `find` gives a rate (`1000/hour`) or None for the policy's own. It is asked once per caller and `quota_ttl`; while
    it fails, the policy's own rate counts.
    """

    policy: str
    find: Callable[[Identity], Awaitable[str | None]]


class RateLimitObserver(Protocol):
    """Is told what happens, for metrics. It must return at once, and is told no more once it raises."""

    def decided(self, policy: str, outcome: Outcome) -> None:
        """A policy allowed or refused a request, or would have refused it (`observed`)."""
        ...

    def store_changed(self, *, is_available: bool) -> None:
        """The store of counters is away, or there again."""
        ...


class RatelimitHooks:
    """What a plugin can tell ratelimit."""

    @hookspec
    def register_rate_limit_keys(self) -> Sequence[RateLimitKey]:  # type: ignore[empty-body]
        """What requests can be counted by, beside what ratelimit knows itself."""

    @hookspec
    def register_rate_limit_quotas(self) -> Sequence[RateLimitQuota]:  # type: ignore[empty-body]
        """Callers' own rates."""

    @hookspec
    def register_rate_limit_observers(self) -> Sequence[RateLimitObserver]:  # type: ignore[empty-body]
        """Who is told about decisions."""
