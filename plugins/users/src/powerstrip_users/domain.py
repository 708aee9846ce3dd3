"""Values and rules of accounts. Nothing here reads or writes anything."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from uuid import UUID


class Status(StrEnum):
    """Only `active` accounts may sign in."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    PENDING = "pending"


class Role(StrEnum):
    """What an account is; what it may do is in its role's permissions."""

    ADMIN = "admin"
    MODERATOR = "moderator"
    USER = "user"
    GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Permission:
    """A thing that roles may be allowed: plugins declare theirs with `register_permissions`."""

    name: str
    title: str


READ_USERS = "users:read"
WRITE_USERS = "users:write"
BULK_UPDATE_USERS = "users:bulk"
DELETE_USERS = "users:delete"
READ_AUDIT = "users:audit"

PERMISSIONS = (
    Permission(READ_USERS, "List accounts and see any of them"),
    Permission(WRITE_USERS, "Change any account, its role and status included"),
    Permission(BULK_UPDATE_USERS, "Change many accounts at once"),
    Permission(DELETE_USERS, "Delete accounts"),
    Permission(READ_AUDIT, "See who changed what"),
)

EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as it is kept."""

    address: str = "unknown"
    user_agent: str = ""
    request_id: str | None = None

    @property
    def network(self) -> str:
        """The address, or the /64 that one IPv6 customer has at least: its addresses are one client."""
        try:
            address = ip_address(self.address)
        except ValueError:
            return self.address
        if isinstance(address, IPv6Address):
            return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
        return str(address)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: `id` is None for the system, the command line and callers without an account."""

    name: str
    client: Client
    id: UUID | None = None


def email_key(email: str) -> str:
    """What two spellings of one address have in common."""
    return unicodedata.normalize("NFKC", email).casefold()


def username_key(username: str) -> str:
    """What two spellings of one username have in common."""
    return username.lower()


def search_text(email: str, username: str, full_name: str | None) -> str:
    """What a search looks through, in one form on every database: their `lower()` differs beyond ASCII."""
    return "\n".join((username_key(username), email_key(email), fold(full_name or "")))


def fold(text: str) -> str:
    """Text without regard to case and to ways of writing the same character."""
    return unicodedata.normalize("NFKC", text).casefold()


def is_blocked(email: str, domains: Collection[str]) -> bool:
    """Whether the address belongs to one of the domains or to a subdomain of one."""
    domain = email_key(email).rpartition("@")[2]
    parts = domain.split(".")
    return any(".".join(parts[start:]) in domains for start in range(len(parts)))


def profile_completion(full_name: str | None, phone: str | None) -> int:
    """0, 50 or 100: how many of full name and phone are set, in percent."""
    return 50 * sum(value is not None for value in (full_name, phone))


def permissions_of_roles(granted: Mapping[Role, Collection[str]]) -> Mapping[Role, frozenset[str]]:
    """Each role's permissions. Admins may do everything, whatever is granted."""
    by_role = {role: frozenset(granted.get(role, ())) for role in Role}
    by_role[Role.ADMIN] = frozenset((EVERYTHING,))
    return MappingProxyType(by_role)
