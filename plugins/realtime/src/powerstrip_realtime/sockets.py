"""WebSockets: the handshake, the first message, and the commands after that."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from fastapi.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

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

First = tuple[Identity, Sequence[str], LogPosition | None]


class SocketEndpoint:
    """The ASGI application behind the WebSocket routes: it hands over to the running `Sockets`."""

    access = Access("identity")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await services_of(HTTPConnection(scope))[Sockets].serve(scope, receive, send)


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

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from its handshake to its end. A Problem raised before it is accepted is the HTTP answer."""
        await receive()
        client = scope.get("client")
        network = network_of(client[0] if client else "unknown")
        self._registry.take_place(network)
        socket = Socket(send, network, self._settings.queue, self._clock, log_slow)
        try:
            # Thousands of connections wait below: what only the handshake needs must not wait with them.
            if await self._begin(socket, scope, receive, send):
                await self._converse(socket, scope, receive)
        finally:
            self._hub.leave(socket)
            self._registry.remove(socket)
            self._registry.give_place(network)
            socket.gone()
            await socket.closed()

    async def _begin(self, socket: Socket, scope: Scope, receive: Receive, send: Send) -> bool:
        """Judge the handshake, accept it and let the client sign in; tells whether it has."""
        connection = HTTPConnection(scope)
        self._admission.check_origin(connection)
        topics, since = _asked(connection)
        identity = await self._admission.identify(connection)
        accept: Message = {"type": "websocket.accept", "subprotocol": subprotocol_of(connection), "headers": []}
        if identity is None:
            with self._registry.unidentified(socket.network):
                await send(accept)
                first = await self._first_message(socket, connection, receive)
            if first is None:
                return False
            identity, topics, since = first
        else:
            _check_owner(connection, identity)
            self._registry.check_user(identity)
            await send(accept)
        try:
            self._registry.add(socket, identity)
            await self._sessions.open(socket, identity, topics, since)
        except TooManyConnections:
            socket.close(Goodbye(Close.TOO_MANY_CONNECTIONS))
        except Problem as problem:
            socket.outlet.release([failure(None, problem)])
            socket.close(Goodbye(Close.FORBIDDEN))
        return True

    async def _converse(self, socket: Socket, scope: Scope, receive: Receive) -> None:
        while (text := self._text_of(socket, await receive())) is not None:
            if text == "ping":
                socket.outlet.push(Raw("pong"))
            else:
                await self._answer(socket, scope, text)

    async def _answer(self, socket: Socket, scope: Scope, text: str) -> None:
        """Do what a message asks for; what is wrong with it is answered, and ends the connection if it goes on."""
        to: Any = None
        try:
            await self._limit.count(HTTPConnection(scope))
            command = parse(text)
            to = command.id
            await self._do(socket, command)
        except Problem as problem:
            to = command_id(text) if isinstance(problem, InvalidMessage) else to
            socket.outlet.push(failure(to, problem))
            socket.errors += 1
            if socket.errors >= self._settings.limits.errors:
                socket.close(Goodbye(Close.TOO_MANY_ERRORS))

    async def _do(self, socket: Socket, command: AnyCommand) -> None:
        match command:
            case Ping():
                socket.outlet.push(reply(command.id, {"time": timestamp(self._clock.now())}))
            case Subscribe():
                await self._sessions.subscribe(socket, command.id, command.topic, position_of(command.since))
            case Unsubscribe():
                self._sessions.unsubscribe(socket, command.topic)
                socket.outlet.push(reply(command.id, {"topic": command.topic}))
            case Presence():
                socket.outlet.push(reply(command.id, self._attendance.of(socket, command.topic, follow=command.follow)))
            case Resume():
                since = position_of(command.since)
                if since is not None:
                    await self._sessions.resume(socket, command.id, since)
            case Authenticate():
                await self._renew(socket, command)

    async def _renew(self, socket: Socket, command: Authenticate) -> None:
        """Sign in again: as the same user, or not at all."""
        identity = await self.identify(command)
        before = socket.identity
        if before is None or identity.id != before.id:
            raise NotYourConnection
        self._registry.renew(socket, identity)
        socket.outlet.push(reply(command.id, {"user_id": identity.id}))

    async def identify(self, command: Authenticate) -> Identity:
        """Who a message says it is from. Raises a Problem for credentials that won't do."""
        if command.ticket is not None:
            return await self._admission.by_ticket(command.ticket)
        if command.token is not None:
            return await self._admission.by_token(command.token)
        raise InvalidMessage("Send a token or a ticket.")

    def _text_of(self, socket: Socket, message: Message) -> str | None:
        """The text of a message, or None when there will be no more."""
        if message["type"] != "websocket.receive":
            return None
        text: str | None = message.get("text")
        if text is None:
            socket.close(Goodbye(Close.UNSUPPORTED))
        elif _is_larger(text, self._settings.limits.message_size):
            socket.close(Goodbye(Close.TOO_LARGE))
        return text if socket.is_open else None

    async def _first_message(self, socket: Socket, connection: HTTPConnection, receive: Receive) -> First | None:
        """Who it is and what it wants, by its first message; None if it does not say so, and is told goodbye."""
        try:
            async with asyncio.timeout(self._settings.sign_in.first_message_timeout):
                text = self._text_of(socket, await receive())
        except TimeoutError:
            socket.close(Goodbye(Close.SIGN_IN_TIMEOUT))
            return None
        if text is None:
            return None
        try:
            command = parse(text)
            if not isinstance(command, Authenticate):
                raise InvalidMessage("The first message has to sign in.")
            since = position_of(command.since)
            identity = await self.identify(command)
            _check_owner(connection, identity)
        except NotYourConnection:
            socket.close(Goodbye(Close.FORBIDDEN))
        except RateLimitExceeded:
            socket.close(Goodbye(Close.TOO_MANY_CONNECTIONS))
        except Problem:
            socket.close(Goodbye(Close.SIGN_IN_FAILED))
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
