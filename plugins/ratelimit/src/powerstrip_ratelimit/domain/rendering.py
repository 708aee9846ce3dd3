"""What answers tell about limits: `X-RateLimit-…`, `Retry-After`, and the fields of
draft-ietf-httpapi-ratelimit-headers-11, whose syntax is that of structured fields (RFC 9651).

The draft leaves open what `t` is for algorithms without windows. Ours is the time for which `r` units have to do at the
policy's rate, so that `r/t` never promises more than `q/w`; with none left it is the time until one is free.
"""

import re
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from powerstrip_ratelimit.domain.decisions import Verdict
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy

RawHeaders = list[tuple[bytes, bytes]]

_UNPRINTABLE = re.compile(r"[^ -~]")


class Label:
    """A policy's name for people, and the parts of headers that stay the same."""

    __slots__ = ("limit", "offer", "standing", "title")

    def __init__(self, title: str, policy: Policy) -> None:
        self.title = title
        escaped = _UNPRINTABLE.sub("?", title).replace("\\", "\\\\").replace('"', '\\"')
        quoted = f'"{escaped}"'.encode("ascii")
        measure = b'qu="concurrent-requests"' if policy.algorithm is Algorithm.CONCURRENT else _window(policy)
        self.limit = b"%d" % policy.limit
        self.offer = b"%b;q=%d;%b" % (quoted, policy.limit, measure)
        self.standing = b"%b;r=" % quoted


class Entry(NamedTuple):
    """One policy of an answer, and what it said."""

    label: Label
    policy: Policy
    verdict: Verdict


def tightest(entries: Sequence[Entry]) -> Entry | None:
    """The policy to show: what refused for longest, else what has least left. Leases tell nothing about a rate."""
    if len(entries) == 1 and entries[0].policy.algorithm is not Algorithm.CONCURRENT:
        return entries[0]
    chosen: Entry | None = None
    for entry in entries:
        if entry.policy.algorithm is Algorithm.CONCURRENT and entry.verdict.allowed:
            continue
        if chosen is None or _tightness(entry.verdict) < _tightness(chosen.verdict):
            chosen = entry
    return chosen


def x_ratelimit(entry: Entry, now: float) -> RawHeaders:
    """`X-RateLimit-Limit`, `-Remaining` and `-Reset`: Unix seconds at which all is there again. `now` is Unix time."""
    label, _, (_, remaining, _, reset_after) = entry
    return [
        (b"x-ratelimit-limit", label.limit),
        (b"x-ratelimit-remaining", b"%d" % remaining),
        (b"x-ratelimit-reset", b"%d" % ceil(now + reset_after / SECOND)),
    ]


def ratelimit(entries: Sequence[Entry]) -> RawHeaders:
    """`RateLimit-Policy` and `RateLimit`."""
    return [
        (b"ratelimit-policy", b", ".join([entry.label.offer for entry in entries])),
        (b"ratelimit", b", ".join([_standing(*entry) for entry in entries])),
    ]


def whole_seconds(microseconds: int) -> int:
    """Seconds, rounded up, 1 at least: what to wait (RFC 9110, 10.2.3)."""
    return max(-(-microseconds // SECOND), 1)


def _standing(label: Label, policy: Policy, verdict: Verdict) -> bytes:
    allowed, left, retry_after, _ = verdict
    if policy.algorithm is Algorithm.CONCURRENT:
        return b"%b%d" % (label.standing, left)
    if left and allowed:
        retry_after = -(-left * policy.period // policy.limit)
    return b"%b%d;t=%d" % (label.standing, left, whole_seconds(retry_after))


def _window(policy: Policy) -> bytes:
    return b"w=%d" % (policy.period // SECOND)


def _tightness(verdict: Verdict) -> tuple[bool, int, int]:
    return verdict.allowed, -verdict.retry_after, verdict.remaining
