"""Routes, and who may call them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from fastapi import APIRouter

from powerstrip.contract.limits import RateLimit

AccessKind = Literal["public", "optional", "identity", "role", "permission"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route: `name` is the role or the permission where the kind needs one."""

    kind: AccessKind
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name else self.kind


@runtime_checkable
class DeclaresAccess(Protocol):
    """A dependency that says who may call the routes that depend on it."""

    @property
    def access(self) -> Access: ...


@dataclass(frozen=True, slots=True)
class Routes:
    """A router to mount: under `{api.prefix}/{version}`, or at the root when `version` is None."""

    router: APIRouter
    version: str | None = "v1"


class RouteInfo(Protocol):
    """One route of a composition, as plugins see it."""

    @property
    def plugin(self) -> str:
        """The plugin that owns it."""
        ...

    @property
    def path(self) -> str:
        """The whole path template, version and prefixes included: `/api/v1/users/{user_id}`."""
        ...

    @property
    def methods(self) -> frozenset[str] | None:
        """The methods it declares (GET implies HEAD); None for WebSockets, and for mounts, which take all."""
        ...

    @property
    def is_websocket(self) -> bool: ...

    @property
    def name(self) -> str: ...

    @property
    def tags(self) -> tuple[str, ...]: ...

    @property
    def access(self) -> Access | None:
        """Who may call it, or None when it does not say."""
        ...

    @property
    def limits(self) -> Mapping[RateLimit, str]:
        """The limits that it or what it depends on states, each with the name it is counted under."""
        ...


class _Public:
    """Says that anyone may call a route: `dependencies=[Depends(public)]` on a route or a router."""

    access = Access("public")

    async def __call__(self) -> None:
        return None

    def __repr__(self) -> str:
        return "public"


public: Any = _Public()
