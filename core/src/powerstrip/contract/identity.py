"""Who is asking. A plugin that provides the capability `identity` finds out; any plugin may ask.

The provider's interceptor (stage IDENTIFY) writes `exchange.state.identity`; nothing else does. Where it was shown
credentials that don't do, it writes the problem to `exchange.state.identity_problem` instead: routes that anyone may
call answer anyone, all others answer with that problem.

When what a caller may do has changed, the provider publishes an event whose `data` says `access_changed: true` and
holds `user_id` or `user_ids`, and `session_ids` where only those sessions have ended. Connections that live longer than
a request are closed by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from fastapi.requests import HTTPConnection

from powerstrip.contract.problems import Forbidden, Problem, Unauthorized
from powerstrip.contract.routes import Access

IDENTITY = "identity"
IDENTITY_PROBLEM = "identity_problem"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller that proved who it is.

    `id` is stable and unique among all callers; `name` is for people; `permissions` are the names
    that plugins declare (`users:read`), with `users:*` for a group and `*` for all: ask `may`;
    `claims` is what else the provider knows.
    """

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    session_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    def may(self, permission: str) -> bool:
        """Whether the caller has a permission, by its name, its group's, or all."""
        granted = self.permissions
        return permission in granted or "*" in granted or f"{permission.partition(':')[0]}:*" in granted


@runtime_checkable
class Authenticator(Protocol):
    """The service of a provider of `identity` that judges credentials which did not come in the head of a request."""

    async def authenticate(self, token: str) -> Identity:
        """Who a token belongs to: the same tokens that requests bring. Raises a Problem: Unauthorized for one that
        won't do."""
        ...


def identity_of(connection: HTTPConnection) -> Identity | None:
    """The caller's identity, or None for a stranger."""
    state: Mapping[str, Any] = connection.scope.get("state", {})
    identity: Identity | None = state.get(IDENTITY)
    return identity


class _OptionalIdentity:
    """A dependency that gives the caller's `Identity`, or None for a stranger."""

    access = Access("optional")

    async def __call__(self, connection: HTTPConnection) -> Identity | None:
        return identity_of(connection)


class _CurrentIdentity:
    """A dependency that gives the caller's `Identity`; a stranger gets 401."""

    access = Access("identity")

    async def __call__(self, connection: HTTPConnection) -> Identity:
        return _known(connection)


class _Require:
    def __init__(self, role: str | None, permission: str | None) -> None:
        self.role = role
        self.permission = permission
        self.access = Access("role", role) if role else Access("permission", permission)

    async def __call__(self, connection: HTTPConnection) -> Identity:
        identity = _known(connection)
        if self.role is not None and self.role not in identity.roles:
            raise Forbidden(f"Only the role '{self.role}' may do this.")
        if self.permission is not None and not identity.may(self.permission):
            # RFC 6750, 3.1: the challenge names the scope that would do.
            challenge = f'Bearer realm="api", error="insufficient_scope", scope="{self.permission}"'
            raise Forbidden(
                f"The permission '{self.permission}' is needed to do this.",
                headers={"WWW-Authenticate": challenge},
            )
        return identity


current_identity: Any = _CurrentIdentity()
optional_identity: Any = _OptionalIdentity()


def require(role: str | None = None, *, permission: str | None = None) -> Any:
    """Makes a dependency that gives the `Identity`: 401 for a stranger, 403 without the role or permission."""
    if (role is None) == (permission is None):
        raise ValueError("require() takes a role or a permission: require('admin'), require(permission='users:read')")
    return _Require(role, permission)


def _known(connection: HTTPConnection) -> Identity:
    identity = identity_of(connection)
    if identity is None:
        problem: Problem | None = connection.scope.get("state", {}).get(IDENTITY_PROBLEM)
        raise problem or Unauthorized()
    return identity
