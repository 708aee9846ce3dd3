"""ETags of accounts, and requests that depend on them (RFC 9110, 8.8.3 and 13.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from powerstrip import PreconditionFailed

_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')


def etag(version: int, numbers: Mapping[str, int] | None = None) -> str:
    """The tag of a version of an account, and of the numbers that are shown with it, which have no version."""
    digest = "-" + sha256(repr(sorted(numbers.items())).encode()).hexdigest()[:12] if numbers else ""
    return f'"v{version}{digest}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """The `If-Match` of a request, where it has one."""

    if_match: str | None = None

    def check(self, version: int) -> None:
        """Raises PreconditionFailed when the account has changed since the caller read it. A tag of a profile counts
        by its version alone: numbers in it don't stand in the way of a change."""
        if self.if_match is None or self.if_match.strip() == "*":
            return
        strong = (tag for weak, tag in _TAG.findall(self.if_match) if not weak)
        if f"v{version}" not in {tag.partition("-")[0] for tag in strong}:
            raise PreconditionFailed


def is_unchanged(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has what it would get. Weak tags do: their bodies say the same."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in {known for _, known in _TAG.findall(if_none_match)}
