"""An exception becomes an answer: in one place, in one shape."""

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import Response
from starlette.types import Scope, Send

from powerstrip.contract.interceptors import RequestHeaders
from powerstrip.contract.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    InternalServerError,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    Problem,
    ProblemHandler,
    RateLimitExceeded,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
    ValidationError,
)
from powerstrip.host.registrations import Owned

logger = logging.getLogger(__name__)

_BY_STATUS: Mapping[int, type[Problem]] = {
    problem.status: problem
    for problem in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        Conflict,
        PreconditionFailed,
        PayloadTooLarge,
        UnsupportedMediaType,
        ValidationError,
        RateLimitExceeded,
        InternalServerError,
        ServiceUnavailable,
    )
}

# RFC 6455, 7.4.1 and the WebSocket registry: policy violation, internal error, try again later.
_CLOSE_POLICY, _CLOSE_ERROR, _CLOSE_LATER = 1008, 1011, 1013

# Of what is wrong with a body as much as helps: a stranger may send a hundred thousand unknown fields, or one whose
# name is a megabyte long.
_MOST_DETAILS = 100
_LONGEST_NAME = 200


class Problems:
    """Turns exceptions into problems and problems into responses.

    Tried in order: a `Problem` itself, the handlers that plugins registered (the most specific
    class first), FastAPI's own exceptions, and at last `InternalServerError`, which is logged whole.
    """

    def __init__(self, handlers: Sequence[Owned[ProblemHandler]] = (), *, debug: bool = False) -> None:
        self._handlers = {entry.value.exception: entry for entry in handlers}
        self._debug = debug

    def from_exception(self, error: Exception, scope: Scope) -> Problem:
        """The problem to answer an exception with."""
        error = _only_leaf(error)
        for kind in type(error).__mro__:
            if kind in self._handlers:
                return self._handled(self._handlers[kind], error, scope)
        if isinstance(error, Problem):
            return error
        if isinstance(error, RequestValidationError | WebSocketRequestValidationError):
            found = error.errors()[:_MOST_DETAILS]
            return ValidationError(details=[_validation_detail(entry) for entry in found])
        if isinstance(error, HTTPException):
            return _from_http_exception(error)
        if isinstance(error, WebSocketException):
            return Forbidden(error.reason or None)
        return self._unexpected(error, scope)

    def response(self, problem: Problem, scope: Scope) -> Response:
        """The answer: our error object, or RFC 9457 for a client that asks for it."""
        try:
            return self._response(problem, scope)
        except Exception as error:  # noqa: BLE001 - a problem may hold what has no JSON: the client is answered all the same
            return self._response(self._unexpected(error, scope), scope)

    def _response(self, problem: Problem, scope: Scope) -> Response:
        request_id = scope.get("state", {}).get("request_id")
        if _wants_problem_json(RequestHeaders(scope["headers"]).getlist("accept")):
            body, media_type = _rfc9457(problem, scope, request_id), "application/problem+json"
        else:
            body, media_type = {"error": _error(problem, request_id)}, "application/json"
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode(errors="replace")
        return Response(content, problem.status, _safe_headers(problem.headers), media_type)

    async def refuse_websocket(self, problem: Problem, scope: Scope, send: Send, *, accepted: bool) -> None:
        """Refuse a handshake with a real HTTP answer where the server can, else with a close code."""
        if not accepted and "websocket.http.response" in scope.get("extensions", {}):
            response = self.response(problem, scope)
            head = {"type": "websocket.http.response.start", "status": response.status_code}
            await send({**head, "headers": response.raw_headers})
            await send({"type": "websocket.http.response.body", "body": response.body})
            return
        code = _CLOSE_LATER if problem.status == 503 else _CLOSE_ERROR if problem.status >= 500 else _CLOSE_POLICY
        # A close frame holds 123 bytes of reason (RFC 6455, 5.5).
        await send({"type": "websocket.close", "code": code, "reason": problem.type[:123]})

    def _handled(self, handler: Owned[ProblemHandler], error: Exception, scope: Scope) -> Problem:
        try:
            problem = handler.value.handle(error)
        except Exception as failure:  # noqa: BLE001 - logged and answered like any other failure
            return self._unexpected(failure, {**scope, "powerstrip.owner": handler.plugin})
        if not isinstance(problem, Problem):
            failure = TypeError(f"a problem handler must return a Problem, not {type(problem).__name__}")
            return self._unexpected(failure, {**scope, "powerstrip.owner": handler.plugin})
        problem.__cause__ = error
        return problem

    def _unexpected(self, error: Exception, scope: Scope) -> Problem:
        owner = scope.get("powerstrip.owner")
        logger.error(
            "unexpected exception",
            exc_info=error,
            extra={
                "method": scope.get("method", "WEBSOCKET"),
                "path": scope["path"],
                **({"plugin": owner} if owner else {}),
            },
        )
        if not self._debug:
            return InternalServerError()
        lines = traceback.format_exception(error)
        return InternalServerError(f"{type(error).__name__}: {error}", details=[{"traceback": "".join(lines)}])


def _only_leaf(error: Exception) -> Exception:
    """The exception inside groups that hold just one, as a task group in a path operation raises it."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _from_http_exception(error: HTTPException) -> Problem:
    kind = _BY_STATUS.get(error.status_code) or _problem_for(error.status_code)
    detail: Any = error.detail
    details = [] if isinstance(detail, str) else [{"detail": detail}]
    said = isinstance(detail, str) and detail != _phrase(error.status_code)
    return kind(detail if said else None, details=details, headers=dict(error.headers or {}))


def _problem_for(status: int) -> type[Problem]:
    name = "".join(word.title() for word in _phrase(status).replace("-", " ").replace("'", "").split())
    return type(
        name or f"Status{status}", (Problem,), {"status": status, "message": _phrase(status) or f"Status {status}"}
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _validation_detail(entry: Mapping[str, Any]) -> dict[str, Any]:
    # Never the rejected value: it may be a password.
    location = [part[:_LONGEST_NAME] if isinstance(part, str) else part for part in entry["loc"]]
    return {"location": location, "message": entry["msg"], "code": entry["type"]}


def _error(problem: Problem, request_id: str | None) -> dict[str, Any]:
    fields = {**problem.extra, "type": problem.type, "message": problem.message, "status_code": problem.status}
    if request_id:
        fields["request_id"] = request_id
    if problem.details:
        fields["details"] = problem.details
    return fields


def _rfc9457(problem: Problem, scope: Scope, request_id: str | None) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": _phrase(problem.status) or problem.type,
        "status": problem.status,
        "detail": problem.message,
        "instance": scope.get("root_path", "") + scope["path"],
        "code": problem.type,
        **({"request_id": request_id} if request_id else {}),
        **({"errors": problem.details} if problem.details else {}),
        **problem.extra,
    }


def _wants_problem_json(accept: Sequence[str]) -> bool:
    wanted = plain = 0.0
    for part in ",".join(accept).split(","):
        media_type, _, parameters = part.strip().partition(";")
        quality = _quality(parameters)
        if media_type.strip().lower() == "application/problem+json":
            wanted = max(wanted, quality)
        elif media_type.strip().lower() == "application/json":
            plain = max(plain, quality)
    return wanted > 0 and wanted >= plain


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers without the characters that would end one (RFC 9110, 5.5)."""
    return {name: value.replace("\r", " ").replace("\n", " ").replace("\0", " ") for name, value in headers.items()}
