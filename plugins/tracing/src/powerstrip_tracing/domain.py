"""Ids and trace context: values and rules, no I/O."""

import re
from collections.abc import Sequence
from os import urandom
from typing import NamedTuple

# RFC 9562, 5.7: 48 bits of milliseconds, the version 7, 12 random bits, the variant 10, 62 random bits.
_TIME_SHIFT = 80
_VERSION_AND_VARIANT = 0x7000_8000_0000_0000_0000
_RANDOM = 0x0FFF_3FFF_FFFF_FFFF_FFFF

_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_TRACESTATE_MEMBERS = 32
# Bits 01 (sampled) and 02 (random trace id); the others have no meaning yet and are not passed on.
_KNOWN_FLAGS = 0x03


class NewIds(NamedTuple):
    """Ids for a request that brought none; the request id is the trace id written as a UUID."""

    trace_id: str
    span_id: str
    request_id: str


class TraceParent(NamedTuple):
    """Where a request comes from: a trace, and flags as two hexadecimal digits."""

    trace_id: str
    flags: str


def new_ids(now: int) -> NewIds:
    """Make ids at `now`, nanoseconds since the epoch.

    The trace id is a UUID version 7 (RFC 9562, 5.7), so that ids sort by time, and its right half is
    random enough for W3C trace context.
    """
    noise = int.from_bytes(urandom(18))
    trace = "%032x" % ((now // 1_000_000 << _TIME_SHIFT) | _VERSION_AND_VARIANT | (noise & _RANDOM))
    request_id = f"{trace[:8]}-{trace[8:12]}-{trace[12:16]}-{trace[16:20]}-{trace[20:]}"
    return NewIds(trace, "%016x" % (noise >> _TIME_SHIFT), request_id)


def parse_traceparent(value: bytes) -> TraceParent | None:
    """Read a `traceparent` (W3C Trace Context, 3.2); None when it is not valid and a new trace must begin."""
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == b"00" and more is not None:
        return None
    return TraceParent(trace_id.decode("ascii"), f"{int(flags, 16) & _KNOWN_FLAGS:02x}")


def parse_tracestate(values: Sequence[str]) -> str | None:
    """Join the `tracestate` headers (W3C Trace Context, 3.3); None when one is not valid or they are over 32."""
    members = [member.strip() for value in values for member in value.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if not members or len(members) > _TRACESTATE_MEMBERS or len(keys) != len(members):
        return None
    if any(_TRACESTATE_MEMBER.fullmatch(member) is None for member in members):
        return None
    return ",".join(members)


def format_server_timing(spans: Sequence[tuple[str, float]]) -> str:
    """Write spans (name, milliseconds) as `Server-Timing` (W3C Server Timing, 3); names lose what is no token."""
    return ", ".join(f"{_NO_TOKEN.sub('_', name)};dur={milliseconds:.1f}" for name, milliseconds in spans)


# RFC 9110, 5.6.2
_NO_TOKEN = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
