"""Powerstrip composes one HTTP API out of plugins. This is all that a plugin author imports."""

from typing import TYPE_CHECKING, Any

from powerstrip.contract.commands import CommandRunner
from powerstrip.contract.errors import (
    BuildError,
    CompositionError,
    ConfigError,
    FindingsError,
    PluginError,
    PowerstripError,
    ServiceNotFoundError,
    StartError,
    StopError,
)
from powerstrip.contract.events import Event, EventBus
from powerstrip.contract.exports import ExportColumn, ExportSource
from powerstrip.contract.findings import Finding, Position
from powerstrip.contract.health import HealthCheck, HostStatus, OwnedCheck
from powerstrip.contract.hooks import HookCalls, hookimpl, hookspec
from powerstrip.contract.identity import Identity, current_identity, identity_of, optional_identity, require
from powerstrip.contract.interceptors import Exchange, Interceptor, Middleware, RequestHeaders, ResponseHeaders, Stage
from powerstrip.contract.limits import RateLimit, RateLimiter
from powerstrip.contract.plugin import API_VERSION, Plugin, PluginSettings
from powerstrip.contract.problems import (
    BadRequest,
    Conflict,
    ErrorResponse,
    Forbidden,
    InternalServerError,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    PluginUnavailable,
    PreconditionFailed,
    Problem,
    ProblemHandler,
    RateLimitExceeded,
    ServiceUnavailable,
    Unauthorized,
    UnsupportedMediaType,
    ValidationError,
    responses,
)
from powerstrip.contract.routes import Access, Routes, public
from powerstrip.contract.services import Services, service, services_of
from powerstrip.contract.tasks import BackgroundTask

if TYPE_CHECKING:
    from powerstrip.host.generation import create_app

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "Access",
    "BackgroundTask",
    "BadRequest",
    "BuildError",
    "CommandRunner",
    "CompositionError",
    "ConfigError",
    "Conflict",
    "ErrorResponse",
    "Event",
    "EventBus",
    "Exchange",
    "ExportColumn",
    "ExportSource",
    "Finding",
    "FindingsError",
    "Forbidden",
    "HealthCheck",
    "HookCalls",
    "HostStatus",
    "Identity",
    "Interceptor",
    "InternalServerError",
    "MethodNotAllowed",
    "Middleware",
    "NotAcceptable",
    "NotFound",
    "OwnedCheck",
    "PayloadTooLarge",
    "Plugin",
    "PluginError",
    "PluginSettings",
    "PluginUnavailable",
    "Position",
    "PowerstripError",
    "PreconditionFailed",
    "Problem",
    "ProblemHandler",
    "RateLimit",
    "RateLimitExceeded",
    "RateLimiter",
    "RequestHeaders",
    "ResponseHeaders",
    "Routes",
    "ServiceNotFoundError",
    "ServiceUnavailable",
    "Services",
    "Stage",
    "StartError",
    "StopError",
    "Unauthorized",
    "UnsupportedMediaType",
    "ValidationError",
    "create_app",
    "current_identity",
    "hookimpl",
    "hookspec",
    "identity_of",
    "optional_identity",
    "public",
    "require",
    "responses",
    "service",
    "services_of",
]


def __getattr__(name: str) -> Any:
    # Late, so that importing the contract never imports the host, which imports the contract.
    if name == "create_app":
        from powerstrip.host.generation import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
