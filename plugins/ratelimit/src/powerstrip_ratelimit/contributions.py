"""What other plugins tell ratelimit through its hooks."""

from dataclasses import dataclass
from typing import Any

from powerstrip import HookCalls
from powerstrip_ratelimit.errors import UnknownKeyError
from powerstrip_ratelimit.hooks import RateLimitKey, RateLimitObserver, RateLimitQuota
from powerstrip_ratelimit.rules import Rules
from powerstrip_ratelimit.subjects import OWN_KEYS


@dataclass(frozen=True, slots=True)
class Contributions:
    """Keys, quotas and observers of all plugins."""

    keys: tuple[RateLimitKey, ...]
    quotas: tuple[RateLimitQuota, ...]
    observers: tuple[RateLimitObserver, ...]

    @classmethod
    def collect(cls, hooks: HookCalls) -> "Contributions":
        """Ask the plugins."""

        def told(hook: str) -> tuple[Any, ...]:
            return tuple(entry for _, entries in hooks.call_each(hook) for entry in entries or ())

        return cls(
            told("register_rate_limit_keys"),
            told("register_rate_limit_quotas"),
            told("register_rate_limit_observers"),
        )

    def check(self, rules: Rules) -> None:
        """Raises UnknownKeyError for a policy that counts by a key that nobody brings."""
        known = {*OWN_KEYS, *(key.name for key in self.keys)}
        for rule in rules.rules:
            if rule.key not in known and not rule.key.startswith("header:"):
                message = f"policy '{rule.label.title}' counts by '{rule.key}', a key that no plugin brings"
                raise UnknownKeyError(message)
