"""Errors as HTTP responses.

Problem
├── BadRequest 400          ├── Conflict 409             ├── InternalServerError 500
├── Unauthorized 401        ├── PreconditionFailed 412   └── ServiceUnavailable 503
├── Forbidden 403           ├── PayloadTooLarge 413          └── PluginUnavailable
├── NotFound 404            ├── UnsupportedMediaType 415
├── MethodNotAllowed 405    ├── ValidationError 422
└── NotAcceptable 406       └── RateLimitExceeded 429
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Problem(Exception):
    """An exception that becomes the error answer.

    A subclass states `type` (stable PascalCase name a client can switch on; the class name unless
    stated), `status` and a default `message`. `details` is a list of JSON objects and is only sent
    when there is something to add; `headers` go out with the answer; `extra` adds members to the
    error object (`retry_after`, say). None of them may hold a secret: clients read all of it.
    """

    type: ClassVar[str] = "Problem"
    status: ClassVar[int] = 500
    message: str = "Something went wrong."

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "type" not in cls.__dict__:
            cls.type = cls.__name__

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = message if message is not None else type(self).message
        self.details = [dict(detail) for detail in details]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        super().__init__(self.message)


class BadRequest(Problem):
    status = 400
    message = "The request is not valid."


class Unauthorized(Problem):
    """401; RFC 9110 wants a challenge with it, so one is sent unless the raiser brings its own."""

    status = 401
    message = "Sign in to do this."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.headers.setdefault("WWW-Authenticate", 'Bearer realm="api"')


class Forbidden(Problem):
    status = 403
    message = "You may not do this."


class NotFound(Problem):
    status = 404
    message = "There is nothing here."


class MethodNotAllowed(Problem):
    status = 405
    message = "This method is not allowed here."


class NotAcceptable(Problem):
    status = 406
    message = "None of the accepted media types can be served."


class Conflict(Problem):
    status = 409
    message = "The request conflicts with the current state."


class PreconditionFailed(Problem):
    status = 412
    message = "The resource has changed since it was read."


class PayloadTooLarge(Problem):
    status = 413
    message = "The request body is too large."


class UnsupportedMediaType(Problem):
    status = 415
    message = "This media type can't be read here."


class ValidationError(Problem):
    status = 422
    message = "The request has invalid values."


class RateLimitExceeded(Problem):
    status = 429
    message = "Too many requests."


class InternalServerError(Problem):
    status = 500
    message = "An unexpected error happened. It has been logged."


class ServiceUnavailable(Problem):
    status = 503
    message = "The service is not available at the moment."


class PluginUnavailable(ServiceUnavailable):
    """The plugin that answers this is switched on but could not start (`on_failure: skip`)."""

    message = "This part of the API is not available at the moment."


@dataclass(frozen=True, slots=True)
class ProblemHandler:
    """Turns a plugin's own exceptions into problems: `handle(error)` returns the problem to answer with."""

    exception: type[Exception]
    handle: Callable[[Any], Problem]


class ErrorFields(BaseModel):
    """What an error answer says."""

    model_config = ConfigDict(extra="allow", title="Error")

    type: str = Field(description="Stable name of the error.", examples=["NotFound"])
    message: str = Field(description="What went wrong, for people.", examples=["There is nothing here."])
    status_code: int = Field(description="The HTTP status, repeated.", examples=[404])
    request_id: str | None = Field(default=None, description="Quote it when you report the error.")
    details: list[dict[str, Any]] | None = Field(default=None, description="What is wrong in particular.")


class ErrorResponse(BaseModel):
    """The body of every error answer."""

    error: ErrorFields


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with these problems, for OpenAPI."""
    documented: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = documented.setdefault(problem.status, {"model": ErrorResponse, "description": ""})
        text = f"`{problem.type}`: {problem.message}"
        entry["description"] = f"{entry['description']} {text}".strip()
    return documented
