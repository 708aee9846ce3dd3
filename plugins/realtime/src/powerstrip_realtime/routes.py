"""HTTP: the event stream, tickets, notifications."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute

from powerstrip import (
    HostStatus,
    Identity,
    NotFound,
    RateLimitExceeded,
    current_identity,
    public,
    require,
    responses,
    service,
    services_of,
)
from powerstrip_realtime.asyncapi import describe
from powerstrip_realtime.errors import (
    InboxUnavailable,
    InvalidPosition,
    InvalidTicket,
    OriginNotAllowed,
    SignInRequired,
    TooManyConnections,
    TooManyTopics,
    TopicForbidden,
    UnknownNotification,
    UnknownTopic,
)
from powerstrip_realtime.notifications import Notifications
from powerstrip_realtime.schemas import Inbox, NewNotification, Sent, Ticket, Unread
from powerstrip_realtime.sessions import position_of
from powerstrip_realtime.sockets import SocketEndpoint
from powerstrip_realtime.streams import EventStream, Streams, listener
from powerstrip_realtime.tickets import Tickets, TooManyTickets
from powerstrip_realtime.topics import Topics

SEND = "notifications:send"

socket_router = APIRouter(
    routes=[
        WebSocketRoute("/ws", SocketEndpoint(), name="socket"),
        WebSocketRoute("/ws/{user_id}", SocketEndpoint(), name="user_socket"),
    ]
)
router = APIRouter(tags=["realtime"])

Caller = Annotated[Identity, Depends(current_identity)]
ServedNotifications = Annotated[Notifications, Depends(service(Notifications))]

_EVENT: Mapping[str, Any] = {
    "type": "object",
    "description": "Each event of the stream.",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
}
_STREAM: Mapping[str, Any] = {"text/event-stream": {"schema": dict(_EVENT)}}


@router.get(
    "/events/stream",
    response_class=EventStream,
    responses={
        **responses(
            InvalidPosition,
            TooManyTopics,
            SignInRequired,
            InvalidTicket,
            OriginNotAllowed,
            TopicForbidden,
            UnknownTopic,
            TooManyConnections,
        ),
        200: {"description": "Events, for as long as the client listens.", "content": _STREAM},
    },
)
async def stream(
    request: Request,
    identity: Annotated[Identity, Depends(listener)],
    topics: Annotated[str, Query(max_length=4_000, description="Further topics, with commas between them.")] = "",
    since: Annotated[str | None, Query(max_length=64, description="Id of the last event that was received.")] = None,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="The same, as browsers send it; it goes before `since`.")
    ] = None,
) -> EventStream:
    """Listen to events over HTTP (server-sent events). A WebSocket at `/ws` gives the same ones."""
    streams = services_of(request)[Streams]
    wanted = [topic for topic in topics.split(",") if topic]
    position = position_of(last_event_id or since)
    await streams.check(identity, wanted)
    return EventStream(streams, identity, wanted, position)


@router.get("/realtime/asyncapi.json", dependencies=[Depends(public)], response_class=JSONResponse)
async def read_asyncapi(request: Request) -> JSONResponse:
    """What is said over WebSockets and event streams: an AsyncAPI 3.0 document. Served where the API's docs are."""
    services, app = services_of(request), request.app
    if not services[HostStatus].docs:
        raise NotFound
    return JSONResponse(describe(services[Topics], title=app.title, version=app.version))


@router.post("/realtime/tickets", status_code=201, responses=responses(SignInRequired, TooManyTickets))
async def create_ticket(identity: Caller, tickets: Annotated[Tickets, Depends(service(Tickets))]) -> Ticket:
    """Get a one-time ticket, to connect from where no header can be sent."""
    return Ticket(ticket=await tickets.issue(identity), expires_in=tickets.lifetime)


@router.post("/notifications", status_code=201, responses=responses(SignInRequired, RateLimitExceeded))
async def send_notification(
    body: NewNotification,
    notifications: ServedNotifications,
    _sender: Annotated[Identity, Depends(require(permission=SEND))],
) -> Sent:
    """Notify some users, those with a role, or everybody."""
    return await notifications.send(body)


@router.get("/notifications", responses=responses(SignInRequired, InboxUnavailable))
async def read_notifications(
    identity: Caller,
    notifications: ServedNotifications,
    before: Annotated[UUID | None, Query(description="The `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    unread_only: Annotated[bool, Query()] = False,
) -> Inbox:
    """Read your inbox, the newest first."""
    return await notifications.read(identity, before=before, limit=limit, unread_only=unread_only)


@router.get("/notifications/unread", responses=responses(SignInRequired, InboxUnavailable))
async def count_unread(identity: Caller, notifications: ServedNotifications) -> Unread:
    """How many notifications you have not read."""
    return Unread(unread=await notifications.unread(identity))


@router.post("/notifications/read-all", status_code=204, responses=responses(SignInRequired, InboxUnavailable))
async def mark_all_read(identity: Caller, notifications: ServedNotifications) -> None:
    """Mark all your notifications as read."""
    await notifications.mark_all_read(identity)


@router.post(
    "/notifications/{notification_id}/read",
    status_code=204,
    responses=responses(SignInRequired, UnknownNotification, InboxUnavailable),
)
async def mark_read(notification_id: UUID, identity: Caller, notifications: ServedNotifications) -> None:
    """Mark one of your notifications as read."""
    await notifications.mark_read(identity, notification_id)
