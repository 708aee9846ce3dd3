"""serve: neighbouring interceptors fused into one ASGI layer, and middleware between them, by stage."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerstrip.contract.errors import BuildError
from powerstrip.contract.findings import Finding
from powerstrip.contract.interceptors import Exchange, FindRoute, Interceptor, Middleware, ResponseHeaders
from powerstrip.host.answers import STARTS, AnswerTracker, ProblemLayer, answer_exception
from powerstrip.host.containment import CONTAINED
from powerstrip.host.logs import current_scope
from powerstrip.host.problems import Problems
from powerstrip.host.registrations import Owned

logger = logging.getLogger(__name__)

Look = Callable[[Exchange], Any]
Layer = Owned[Interceptor] | Owned[Middleware]


def order_layers(interceptors: Sequence[Owned[Interceptor]], middleware: Sequence[Owned[Middleware]]) -> list[Layer]:
    """Outermost first: by stage; inside a stage interceptors before middleware, each in composition order."""
    layers: list[Layer] = [*interceptors, *middleware]
    return sorted(layers, key=lambda entry: (entry.value.stage, isinstance(entry.value, Middleware)))


def stack_layers(app: ASGIApp, layers: Sequence[Layer], problems: Problems, find_route: FindRoute) -> ASGIApp:
    """Wrap the application in its layers; `find_route` tells interceptors which route will answer.

    The outermost and the innermost turn exceptions into problems: middleware sees what a route
    raises as the answer it becomes, and what middleware raises becomes one, too.
    """
    fused: list[Interceptor] = []
    if not layers or isinstance(layers[-1].value, Middleware):
        app = ProblemLayer(app, problems)
    for entry in reversed(layers):
        if isinstance(entry.value, Interceptor):
            fused.insert(0, entry.value)
            continue
        if fused:
            app = InterceptorLayer(app, fused, problems, find_route)
            fused = []
        app = _wrapped(app, entry.plugin, entry.value)
    return InterceptorLayer(app, fused, problems, find_route)


def _wrapped(app: ASGIApp, plugin: str, middleware: Middleware) -> ASGIApp:
    try:
        layer: ASGIApp = middleware.cls(app, **middleware.options)
        if not callable(layer):
            raise TypeError(f"it gave {type(layer).__name__}, which is no ASGI application")
    except CONTAINED as error:
        message = f"plugin '{plugin}' has middleware that can't be made: {type(error).__name__}: {error}"
        raise BuildError([Finding("middleware.not-made", message, plugin=plugin)]) from error
    return layer


class InterceptorLayer:
    """Runs its interceptors around an application, and turns what the application raises into problems.

    One `send` wrapper serves them all. Which `on_response` run is decided by how far the request
    got: those of the interceptors whose `on_request` returned.
    """

    def __init__(
        self, app: ASGIApp, interceptors: Sequence[Interceptor], problems: Problems, find_route: FindRoute
    ) -> None:
        self._app = app
        self._find_route = find_route
        self._problems = problems
        looks = [(outside, look) for outside, look in enumerate(map(_on_request, interceptors)) if look is not None]
        # each on_request, whether it is async, and how many interceptors are outside it
        self._looks = tuple((look, iscoroutinefunction(look), outside) for outside, look in looks)
        # responders[n]: the on_response of the first n interceptors, innermost first
        self._responders = tuple(_responders(interceptors[:count]) for count in range(len(interceptors) + 1))
        self._sender = _AsyncSender if any(map(iscoroutinefunction, self._responders[-1])) else _Sender

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if "state" not in scope:
            scope["state"] = {}
        exchange = Exchange(scope, self._find_route)
        sender = self._sender(exchange, send)
        token = current_scope.set(scope)
        returned = 0
        try:
            for look, is_async, outside in self._looks:
                returned = outside
                answer = look(exchange)
                if is_async:
                    answer = await answer
                if answer is not None:
                    returned = outside + 1
                    sender.responders = self._responders[returned]
                    await _answer(answer, scope, receive, sender)
                    return
            returned = -1
            sender.responders = self._responders[-1]
            await self._app(scope, receive, sender)
        except CONTAINED as error:  # each becomes an answer here, or is raised on
            sender.responders = tuple(map(_guarded, self._responders[returned]))
            await answer_exception(self._problems, error, scope, receive, sender)
        finally:
            current_scope.reset(token)


class _Sender(AnswerTracker):
    """The layer's `send`: shows the response's head to the interceptors, and knows how far the answer got."""

    __slots__ = ("exchange", "responders")

    def __init__(self, exchange: Exchange, send: Send) -> None:
        super().__init__(send)
        self.exchange = exchange
        self.responders: Sequence[Look] = ()

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            exchange = self.head(message)
            for respond in self.responders:
                respond(exchange)
        self.note(message)
        return self.send(message)

    def head(self, message: Message) -> Exchange:
        """The exchange, with the response's head in it."""
        # A copy: a response object may be sent more than once.
        message["headers"] = headers = list(message.get("headers", ()))
        exchange = self.exchange
        exchange.status = message.get("status", 101)  # an accepted handshake: Switching Protocols
        exchange.response_headers = ResponseHeaders(headers)
        return exchange


class _AsyncSender(_Sender):
    """The same where an `on_response` is async."""

    __slots__ = ()

    async def __call__(self, message: Message) -> None:
        if message["type"] in STARTS:
            exchange = self.head(message)
            for respond in self.responders:
                result = respond(exchange)
                if isawaitable(result):
                    await result
        self.note(message)
        await self.send(message)


def _on_request(interceptor: Interceptor) -> Look | None:
    overridden = type(interceptor).on_request is not Interceptor.on_request
    return interceptor.on_request if overridden else None


def _responders(interceptors: Sequence[Interceptor]) -> tuple[Look, ...]:
    return tuple(
        interceptor.on_response
        for interceptor in reversed(interceptors)
        if type(interceptor).on_response is not Interceptor.on_response
    )


def _guarded(respond: Look) -> Look:
    """The same, but logging what it raises: one that fails may not take the error answer away."""
    if iscoroutinefunction(respond):

        async def guarded_async(exchange: Exchange) -> None:
            with _logging_failures(respond):
                await respond(exchange)

        return guarded_async

    def guarded(exchange: Exchange) -> None:
        with _logging_failures(respond):
            respond(exchange)

    return guarded


@contextmanager
def _logging_failures(respond: Look) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("on_response failed on an error answer", extra={"interceptor": repr(respond)})


async def _answer(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    await answer(scope, receive, send)
