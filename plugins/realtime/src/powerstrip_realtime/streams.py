"""Event streams: the same events over HTTP, for those who only listen (HTML, 9.2)."""

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from powerstrip import Access, Clock, Identity, LogPosition, services_of
from powerstrip_realtime.admission import Admission
from powerstrip_realtime.connections import Stream
from powerstrip_realtime.domain import network_of
from powerstrip_realtime.errors import SignInRequired
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.sessions import Sessions
from powerstrip_realtime.settings import RealtimeSettings
from powerstrip_realtime.sockets import log_slow
from powerstrip_realtime.topics import Topics

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would wait until it has a buffer full
)


class Streams:
    """Serves event streams."""

    def __init__(
        self,
        *,
        settings: RealtimeSettings,
        admission: Admission,
        registry: Registry,
        hub: Hub,
        sessions: Sessions,
        topics: Topics,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.admission = admission
        self._registry = registry
        self._hub = hub
        self._sessions = sessions
        self._topics = topics
        self._clock = clock

    async def check(self, identity: Identity, topics: list[str]) -> None:
        """Raises what would be wrong with such a stream, while there still can be an answer that says so."""
        for topic in topics:
            await self._topics.check(identity, topic)
        self._registry.check_user(identity)

    async def serve(
        self,
        identity: Identity,
        topics: list[str],
        since: LogPosition | None,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """One event stream, from its head to its end."""
        client = scope.get("client")
        network = network_of(client[0] if client else "unknown")
        self._registry.take_place(network)
        try:
            stream = Stream(send, network, self.settings.queue, self._clock, log_slow)
            self._registry.add(stream, identity)
            await self._listen(stream, identity, topics, since, receive)
        finally:
            self._registry.give_place(network)

    async def _listen(
        self, stream: Stream, identity: Identity, topics: list[str], since: LogPosition | None, receive: Receive
    ) -> None:
        try:
            await stream.begin(_HEADERS)
            await self._sessions.open(stream, identity, topics, since)
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._hub.leave(stream)
            self._registry.remove(stream)
            stream.gone()
            await stream.closed()


class EventStream(Response):
    """The answer that goes on."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        identity: Identity,
        topics: list[str],
        since: LogPosition | None,
        status_code: int = 200,  # OpenAPI reads the default
    ) -> None:
        super().__init__(status_code=status_code)
        self._streams = streams
        self._identity = identity
        self._topics = topics
        self._since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": self.status_code, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._streams.serve(self._identity, self._topics, self._since, scope=scope, receive=receive, send=send)


class Listener:
    """A dependency that gives whoever opens a stream: by the request's credentials, or by a ticket."""

    access = Access("identity")

    async def __call__(
        self,
        request: Request,
        ticket: Annotated[str | None, Query(description="A one-time ticket, where no header can be sent.")] = None,
    ) -> Identity:
        admission = services_of(request)[Streams].admission
        admission.check_origin(request)
        identity = await (admission.by_ticket(ticket) if ticket else admission.identify(request))
        if identity is None:
            raise SignInRequired
        return identity


listener: Any = Listener()
