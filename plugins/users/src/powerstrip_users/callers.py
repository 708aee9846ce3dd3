"""What the routes need to know of a request and its sender."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request

from powerstrip import Identity, identity_of
from powerstrip_users.domain import Actor, Client
from powerstrip_users.errors import InvalidToken
from powerstrip_users.preconditions import Precondition

_LONGEST_AGENT = 200


def client_of(request: Request) -> Client:
    """Where a request comes from. Addresses are those that `edge` vouches for: forwarded ones only from proxies."""
    agent = "".join(filter(str.isprintable, request.headers.get("user-agent", "")))
    request_id = request.scope["state"].get("request_id")
    return Client(
        address=request.client.host if request.client else "unknown",
        user_agent=agent[:_LONGEST_AGENT],
        request_id=str(request_id)[:200] if request_id else None,
    )


def actor_of(request: Request) -> Actor:
    """Who does what the request asks for, for the audit log."""
    identity = identity_of(request)
    if identity is None:
        return Actor(name="stranger", client=client_of(request))
    return Actor(name=identity.name or identity.id, client=client_of(request), id=account_id(identity))


def account_id(identity: Identity) -> UUID | None:
    """The caller's account. None for callers that another plugin identified: API keys have no profile."""
    return _uuid(identity.id)


def own_account_id(identity: Identity) -> UUID:
    """The caller's account; raises InvalidToken for callers without one."""
    found = account_id(identity)
    if found is None:
        raise InvalidToken("The caller has no account.")
    return found


def session_id(identity: Identity) -> UUID | None:
    """The session that the caller's token is from."""
    return _uuid(identity.session_id)


def signed_in_at(identity: Identity) -> datetime | None:
    """When the caller's session began with a password."""
    found: Any = identity.claims.get("signed_in_at")
    return found if isinstance(found, datetime) else None


def precondition(
    if_match: Annotated[
        str | None, Header(description="ETag of the version that the change is meant for: else 412.")
    ] = None,
) -> Precondition:
    return Precondition(if_match)


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


FromClient = Annotated[Client, Depends(client_of)]
Acting = Annotated[Actor, Depends(actor_of)]
IfMatch = Annotated[Precondition, Depends(precondition)]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="ETag of what the caller has: if it still holds, 304.")
]
