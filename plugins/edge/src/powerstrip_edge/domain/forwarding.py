"""What proxies tell about the client: `Forwarded` (RFC 7239) and the `X-Forwarded-…` headers.

Each proxy adds to the right. What a stranger wrote stands to the left of what the first trusted
proxy added, so everything is read from the right, and no further than the first stranger's address.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from powerstrip_edge.domain.hosts import split_host

IsTrusted = Callable[[str], bool]
RawHeaders = Sequence[tuple[bytes, bytes]]

_SCHEMES = frozenset(("http", "https"))
# RFC 7239, 4: a token or a quoted string; also what proxies forget to quote, as `for=192.0.2.1:80`.
_PAIR = r"""[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[^\s",;=]+|"(?:[^"\\]|\\.)*")"""
_ELEMENT = re.compile(rf"[ \t]*({_PAIR})(?:[ \t]*;[ \t]*{_PAIR})*[ \t]*;?[ \t]*")
_EACH_PAIR = re.compile(_PAIR)
_PORT = re.compile(r"[0-9]{1,5}")
_ESCAPED = re.compile(r"\\(.)")
# An element of a real proxy is far shorter; what stands further left is not read.
_LONGEST = 4096


class Forwarding(NamedTuple):
    """The client as the trusted proxies saw it; None where they didn't say."""

    client: tuple[str, int] | None = None
    scheme: str | None = None
    host: str | None = None


def read_forwarded(headers: RawHeaders, is_trusted: IsTrusted) -> Forwarding:
    """Read the `Forwarded` headers."""
    seen = Forwarding()
    for element in _elements_from_right(_joined(headers, b"forwarded")):
        client = parse_node(element.get("for", ""))
        if client is None:
            break
        seen = Forwarding(client, _scheme(element.get("proto")), _host(element.get("host")))
        if not is_trusted(client[0]):
            break
    return seen


def read_x_forwarded(headers: RawHeaders, is_trusted: IsTrusted) -> Forwarding:
    """Read `X-Forwarded-For`, `-Proto` and `-Host`.

    The last two may have one value in all or one per proxy; with fewer values than proxies the one
    furthest left is the first trusted proxy's.
    """
    client: tuple[str, int] | None = None
    hops = -1
    for node in reversed(_joined(headers, b"x-forwarded-for").split(",")):
        parsed = parse_node(node.strip())
        if parsed is None:
            break
        client = parsed
        hops += 1
        if not is_trusted(client[0]):
            break
    scheme = _scheme(_value_at(_joined(headers, b"x-forwarded-proto"), hops))
    return Forwarding(client, scheme, _host(_value_at(_joined(headers, b"x-forwarded-host"), hops)))


def parse_node(text: str) -> tuple[str, int] | None:
    """Address and port (0 when there is none) of `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` or `2001:db8::1`.

    None for anything else, as `unknown` and the names that hide an address (RFC 7239, 6.2 and 6.3).
    """
    address, port = text, ""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    parsed = parse_address(address)
    if parsed is None:
        return None
    return str(parsed), int(port) if _PORT.fullmatch(port) else 0


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address in its one spelling: IPv4 also where it is written inside IPv6; None for anything else."""
    if "%" in text:  # a zone means nothing to other machines, and may hold any characters
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _joined(headers: RawHeaders, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)[-_LONGEST:]


def _elements_from_right(text: str) -> Iterator[dict[str, str]]:
    """The elements of a `Forwarded` header, last first.

    The shortest end of the text that is an element was written by the last proxy, even if a
    stranger left a quote open further left.
    """
    end = start = len(text)
    while start >= 0:
        start = text.rfind(",", 0, start)
        if _ELEMENT.fullmatch(text, start + 1, end):
            yield dict(_pair(pair) for pair in _EACH_PAIR.findall(text, start + 1, end))
            end = start


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if value.startswith('"'):
        value = _ESCAPED.sub(r"\1", value[1:-1])
    return name.lower(), value


def _value_at(text: str, hops: int) -> str | None:
    values = [value.strip() for value in text.split(",")] if text else []
    return values[-1 - min(max(hops, 0), len(values) - 1)] if values else None


def _scheme(value: str | None) -> str | None:
    scheme = value.lower() if value else None
    return scheme if scheme in _SCHEMES else None


def _host(value: str | None) -> str | None:
    return value if value and split_host(value) else None
