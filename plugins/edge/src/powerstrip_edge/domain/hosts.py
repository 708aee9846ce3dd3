"""Which names a server answers for."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address

# RFC 3986, 3.2.2, without what no resolver takes; ports have five digits at most.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")


def split_host(host: str) -> tuple[str, str | None] | None:
    """The name, in one spelling, and the port of a `Host` header or a rule; None when it is not valid."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    name = found["name"].lower()
    if name.startswith("["):
        try:
            return f"[{IPv6Address(name[1:-1])}]", found["port"]
        except ValueError:
            return None
    # A trailing dot says that the name is complete; it is the same name.
    return name.removesuffix("."), found["port"]


class HostRules:
    """Names, `*.` before a name for all below it; a rule without a port is for any port."""

    def __init__(self, rules: Iterable[str]) -> None:
        parsed = [(rule.startswith("*."), split_host(rule.removeprefix("*."))) for rule in rules]
        self._names = frozenset(host for below, host in parsed if host and not below)
        self._suffixes = tuple((f".{host[0]}", host[1]) for below, host in parsed if host and below)
        # As clients spell them nearly always: found without taking the header apart.
        self._usual = frozenset(name.encode() for name, port in self._names if port is None)

    def allow(self, host: bytes) -> bool:
        """Whether a `Host` header names this server."""
        usual, _, digits = host.partition(b":")
        if usual in self._usual and (not digits or (digits.isdigit() and len(digits) < 6)):
            return True
        parts = split_host(host.decode("latin-1"))
        if parts is None:
            return False
        name, port = parts
        if parts in self._names or (name, None) in self._names:
            return True
        return any(name.endswith(suffix) and only in (None, port) for suffix, only in self._suffixes)
