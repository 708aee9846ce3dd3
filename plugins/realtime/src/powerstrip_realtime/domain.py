"""Values and rules of connections. Nothing here reads or writes anything."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address

PROTOCOL = "powerstrip.v1"
"""The subprotocol that is echoed."""

TOKEN_PREFIX = "powerstrip.token."  # noqa: S105 - a name, no secret
TICKET_PREFIX = "powerstrip.ticket."
"""What subprotocols begin with that bring credentials; they are never echoed."""


class Close(Enum):
    """Why a connection is closed: the code (RFC 6455, 7.4), the name that goes with it, and whether to come back.

    1000 to 1999 are the protocol's own; 4000 to 4499 mean "connect again", 4500 to 4999 "don't".
    """

    NORMAL = 1000, "Normal", False
    UNSUPPORTED = 1003, "TextOnly", False
    TOO_LARGE = 1009, "MessageTooLarge", False
    RESTART = 1012, "Restart", True
    SLOW = 1013, "TooSlow", True
    SIGN_IN_AGAIN = 4001, "SignInAgain", True
    ACCESS_CHANGED = 4003, "AccessChanged", True
    SIGN_IN_FAILED = 4500, "SignInFailed", False
    SIGN_IN_TIMEOUT = 4501, "SignInTimeout", False
    FORBIDDEN = 4503, "Forbidden", False
    TOO_MANY_CONNECTIONS = 4504, "TooManyConnections", False
    SESSION_ENDED = 4505, "SessionEnded", False
    TOO_MANY_ERRORS = 4508, "TooManyErrors", False

    def __init__(self, code: int, reason: str, reconnect: bool) -> None:
        self.code = code
        self.reason = reason
        self.reconnect = reconnect


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a connection ends. `retry_ms` asks the client to come back after so many milliseconds."""

    close: Close
    retry_ms: int | None = None

    @property
    def reason(self) -> str:
        """What the close frame says: a name, or JSON with the hint. Never longer than 123 bytes (RFC 6455, 5.5)."""
        if self.retry_ms is None:
            return self.close.reason
        return f'{{"reason":"{self.close.reason}","retry_ms":{self.retry_ms}}}'


def network_of(address: str) -> str:
    """The address, or the /64 that one IPv6 customer has at least: its addresses are one client."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
