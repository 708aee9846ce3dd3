"""serve: how an answer gets out: what has been sent of it, and what is sent instead when something raises."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerstrip.host.containment import CONTAINED, contained
from powerstrip.host.problems import Problems

STARTS = frozenset(("http.response.start", "websocket.http.response.start", "websocket.accept"))
_ENDS = frozenset(("http.response.body", "websocket.http.response.body"))


class AnswerTracker:
    """A `send` that knows how far the answer got.

    For HTTP: `started` when the head is out, `closed` when the last byte is. For a WebSocket:
    `started` when the handshake is accepted, `closed` when it is refused or closed.
    """

    __slots__ = ("closed", "send", "started")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False
        self.closed = False

    # No coroutine of its own: a message costs one call here, not one more await.
    def __call__(self, message: Message) -> Awaitable[None]:
        self.note(message)
        return self.send(message)

    def note(self, message: Message) -> None:
        """Take down what a message does to the answer."""
        kind = message["type"]
        if kind in _ENDS:
            self.closed = not message.get("more_body", False)
        elif kind in STARTS:
            self.started = True
        elif kind == "websocket.close":
            self.closed = True


class ProblemLayer:
    """Turns what the application raises into problems, next to where it is raised."""

    def __init__(self, app: ASGIApp, problems: Problems) -> None:
        self._app = app
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        tracker = AnswerTracker(send)
        try:
            await self._app(scope, receive, tracker)
        except CONTAINED as error:  # each becomes an answer, or is raised on
            await answer_exception(self._problems, error, scope, receive, tracker)


async def answer_exception(
    problems: Problems, raised: BaseException, scope: Scope, receive: Receive, tracker: AnswerTracker
) -> None:
    """Answer with the problem that the exception is, as far as that is still possible."""
    error = contained(raised)
    problem = problems.from_exception(error, scope)
    if scope["type"] == "websocket":
        if not tracker.closed:
            await problems.refuse_websocket(problem, scope, tracker, accepted=tracker.started)
    elif not tracker.started:
        await problems.response(problem, scope)(scope, receive, tracker)
    elif not tracker.closed:
        # Half an answer is out: raising makes the server break the connection, so that no client
        # takes it for a whole one.
        raise error
