"""Who a request is counted for, where nobody has signed in."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_REMEMBERED = 8192
_IPV4_BITS, _IPV6_BITS = 32, 128
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are the client's own address
_6TO4 = IPv6Network("2002::/16")  # RFC 3056: whoever has one IPv4 address has a /48
_6TO4_PREFIX = 48
_LONGEST_SUBJECT = 200


class Clients:
    """Addresses as far as a client can't change them by itself, and which of them are exempt."""

    def __init__(self, ipv4_prefix: int, ipv6_prefix: int, exempt: Sequence[Network]) -> None:
        self._ipv4_prefix = ipv4_prefix
        self._ipv6_prefix = ipv6_prefix
        self._exempt = tuple(exempt)
        self.subject_of: Callable[[str], str] = lru_cache(_REMEMBERED)(self._subject_of)
        """What stands for a client, by its address: IPv6 hosts may pick any address of their /64."""
        self.is_exempt: Callable[[str], bool] = lru_cache(_REMEMBERED)(self._is_exempt)
        """Whether an address is in one of the exempt networks."""

    @property
    def has_exempt(self) -> bool:
        return bool(self._exempt)

    def _subject_of(self, host: str) -> str:
        return f"address:{self._network_of(host)}"

    def _network_of(self, host: str) -> str:
        if ":" not in host and self._ipv4_prefix == _IPV4_BITS:
            return host
        address = parse_address(host)
        if address is None:
            return host
        if isinstance(address, IPv4Address):
            length, most = self._ipv4_prefix, _IPV4_BITS
        else:
            length, most = self._ipv6_prefix, _IPV6_BITS
            if address in _6TO4:
                length = min(length, _6TO4_PREFIX)
        if length == most:
            return str(address)
        kept = int(address) >> (most - length) << (most - length)
        return f"{type(address)(kept)}/{length}"

    def _is_exempt(self, host: str) -> bool:
        address = parse_address(host)
        return address is not None and any(
            address.version == network.version and address in network for network in self._exempt
        )


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """An address without its zone, IPv4 also where it stands inside IPv6; None for what is none."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def digested(value: str) -> str:
    """A short stand-in for a value that may be long or a secret."""
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def bounded(value: str) -> str:
    """The value, or its stand-in where it is too long for a key."""
    return value if len(value) <= _LONGEST_SUBJECT else digested(value)
