"""Routes, and who may call them."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from fastapi import APIRouter

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


class _Public:
    """Says that anyone may call a route: `dependencies=[Depends(public)]` on a route or a router."""

    access = Access("public")

    async def __call__(self) -> None:
        return None

    def __repr__(self) -> str:
        return "public"


public: Any = _Public()
