"""WebSockets: the handshake, the first message, and the commands after that."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from fastapi.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from powerstrip import (
    Access,
    Clock,
    Identity,
    LogPosition,
    Problem,
    RateLimit,
    RateLimitExceeded,
    services_of,
)
from powerstrip_realtime.admission import Admission, subprotocol_of
from powerstrip_realtime.connections import Socket
from powerstrip_realtime.domain import Close, Goodbye, network_of
from powerstrip_realtime.errors import InvalidMessage, NotYourConnection, TooManyConnections
from powerstrip_realtime.frames import Raw, failure, reply, timestamp
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.messages import (
    AnyCommand,
    Authenticate,
    Ping,
    Presence,
    Resume,
    Subscribe,
    Unsubscribe,
    command_id,
    parse,
)
from powerstrip_realtime.outlet import Trouble
from powerstrip_realtime.presence import Attendance
from powerstrip_realtime.registry import Registry
from powerstrip_realtime.sessions import Sessions, position_of
from powerstrip_realtime.settings import RealtimeSettings

logger = logging.getLogger(__name__)

_MOST_TOPICS_ASKED = 100


class SocketEndpoint:
    """The ASGI application behind the WebSocket routes: it hands over to the running `Sockets`."""

    access = Access("identity")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        await services_of(connection)[Sockets].serve(connection, receive, send)


class Sockets:
    """Serves WebSockets."""

    def __init__(
        self,
        *,
        settings: RealtimeSettings,
        clock: Clock,
        admission: Admission,
        registry: Registry,
        hub: Hub,
        sessions: Sessions,
        attendance: Attendance,
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._registry = registry
        self._hub = hub
        self._sessions = sessions
        self._attendance = attendance
        self._clock = clock
        self._limit = RateLimit(settings.limits.messages, scope="realtime messages")

    async def serve(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end. A Problem raised before it is accepted is the HTTP answer."""
        await receive()
        network = network_of(connection.client.host if connection.client else "unknown")
        self._admission.check_origin(connection)
        topics, since = _asked(connection)
        with ExitStack() as stack:
            stack.enter_context(self._registry.place(network))
            identity = await self._admission.identify(connection)
            if identity is not None:
                _check_owner(connection, identity)
                self._registry.check_user(identity)
                unidentified = None
            else:
                unidentified = stack.enter_context(ExitStack())
                unidentified.enter_context(self._registry.unidentified(network))
            await send({"type": "websocket.accept", "subprotocol": subprotocol_of(connection), "headers": []})
            socket = Socket(send, network, self._settings.queue, self._clock, log_slow)
            client = _Client(self, connection, socket, receive)
            try:
                if identity is None and unidentified is not None:
                    first = await client.first_message()
                    if first is None:
                        return
                    identity, topics, since = first
                    unidentified.close()
                await self._converse(client, identity, topics, since)
            finally:
                self._hub.leave(socket)
                self._registry.remove(socket)
                socket.gone()
                await socket.closed()

    async def _converse(
        self, client: "_Client", identity: Identity | None, topics: Sequence[str], since: LogPosition | None
    ) -> None:
        if identity is None:
            return
        socket = client.socket
        try:
            self._registry.add(socket, identity)
            await self._sessions.open(socket, identity, topics, since)
        except TooManyConnections:
            socket.close(Goodbye(Close.TOO_MANY_CONNECTIONS))
        except Problem as problem:
            socket.outlet.release([failure(None, problem)])
            socket.close(Goodbye(Close.FORBIDDEN))
        while (text := await client.message()) is not None:
            if text == "ping":
                socket.outlet.push(Raw("pong"))
            else:
                await self._answer(client, text)

    async def _answer(self, client: "_Client", text: str) -> None:
        """Do what a message asks for; what is wrong with it is answered, and ends the connection if it goes on."""
        socket = client.socket
        to: Any = None
        try:
            await self._limit.count(client.connection)
            command = parse(text)
            to = command.id
            await self._do(client, command)
        except Problem as problem:
            to = command_id(text) if isinstance(problem, InvalidMessage) else to
            socket.outlet.push(failure(to, problem))
            socket.errors += 1
            if socket.errors >= self._settings.limits.errors:
                socket.close(Goodbye(Close.TOO_MANY_ERRORS))

    async def _do(self, client: "_Client", command: AnyCommand) -> None:
        socket = client.socket
        match command:
            case Ping():
                socket.outlet.push(reply(command.id, {"time": timestamp(self._clock.now())}))
            case Subscribe():
                await self._sessions.subscribe(socket, command.id, command.topic, position_of(command.since))
            case Unsubscribe():
                self._sessions.unsubscribe(socket, command.topic)
                socket.outlet.push(reply(command.id, {"topic": command.topic}))
            case Presence():
                socket.outlet.push(reply(command.id, self._attendance.of(socket, command.topic)))
            case Resume():
                since = position_of(command.since)
                if since is not None:
                    await self._sessions.resume(socket, command.id, since)
            case Authenticate():
                await self._renew(client, command)

    async def _renew(self, client: "_Client", command: Authenticate) -> None:
        """Sign in again: as the same user, or not at all."""
        identity = await self.identify(command)
        before = client.socket.identity
        if before is None or identity.id != before.id:
            raise NotYourConnection
        self._registry.renew(client.socket, identity)
        client.socket.outlet.push(reply(command.id, {"user_id": identity.id}))

    async def identify(self, command: Authenticate) -> Identity:
        """Who a message says it is from. Raises a Problem for credentials that won't do."""
        if command.ticket is not None:
            return await self._admission.by_ticket(command.ticket)
        if command.token is not None:
            return await self._admission.by_token(command.token)
        raise InvalidMessage("Send a token or a ticket.")

    @property
    def settings(self) -> RealtimeSettings:
        return self._settings


class _Client:
    """The other end of one WebSocket."""

    def __init__(self, sockets: Sockets, connection: HTTPConnection, socket: Socket, receive: Receive) -> None:
        self._sockets = sockets
        self.connection = connection
        self.socket = socket
        self._receive = receive

    async def message(self) -> str | None:
        """The next text, or None when there will be no more."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return None
        text: str | None = message.get("text")
        if text is None:
            self.socket.close(Goodbye(Close.UNSUPPORTED))
        elif _is_larger(text, self._sockets.settings.limits.message_size):
            self.socket.close(Goodbye(Close.TOO_LARGE))
        return text if self.socket.is_open else None

    async def first_message(self) -> tuple[Identity, Sequence[str], LogPosition | None] | None:
        """Who it is and what it wants, by its first message; None if it does not say so, and is told goodbye."""
        try:
            async with asyncio.timeout(self._sockets.settings.sign_in.first_message_timeout):
                text = await self.message()
        except TimeoutError:
            self.socket.close(Goodbye(Close.SIGN_IN_TIMEOUT))
            return None
        if text is None:
            return None
        try:
            command = parse(text)
            if not isinstance(command, Authenticate):
                raise InvalidMessage("The first message has to sign in.")
            since = position_of(command.since)
            identity = await self._sockets.identify(command)
            _check_owner(self.connection, identity)
        except NotYourConnection:
            self.socket.close(Goodbye(Close.FORBIDDEN))
        except RateLimitExceeded:
            self.socket.close(Goodbye(Close.TOO_MANY_CONNECTIONS))
        except Problem:
            self.socket.close(Goodbye(Close.SIGN_IN_FAILED))
        else:
            return identity, command.topics, since
        return None


def _is_larger(text: str, size: int) -> bool:
    # A character has at most four bytes in UTF-8: most messages need no counting.
    return len(text) * 4 > size and len(text.encode()) > size


def _asked(connection: HTTPConnection) -> tuple[Sequence[str], LogPosition | None]:
    """The topics and the position that the head of the request asks for."""
    topics = [topic for part in connection.query_params.getlist("topics") for topic in part.split(",") if topic]
    since = connection.headers.get("last-event-id") or connection.query_params.get("since")
    return topics[:_MOST_TOPICS_ASKED], position_of(since)


def _check_owner(connection: HTTPConnection, identity: Identity) -> None:
    owner = connection.path_params.get("user_id")
    if owner is not None and owner != identity.id:
        raise NotYourConnection


def log_slow(trouble: Trouble) -> None:
    logger.info("a client reads too slowly", extra={"trouble": trouble})
