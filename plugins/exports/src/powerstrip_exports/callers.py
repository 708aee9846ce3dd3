"""What the routes need to know of a request and its sender."""

from fastapi import Request

from powerstrip import Identity
from powerstrip_exports.audit import Asker


def asker_of(request: Request, caller: Identity) -> Asker:
    """Who asks, as far as the audit log wants to know."""
    request_id = request.scope.get("state", {}).get("request_id")
    return Asker(
        caller,
        request_id=str(request_id)[:200] if request_id else None,
        client_address=request.client.host if request.client else "unknown",
    )
