"""The promise to plugins. `powerstrip` exports all of it, and a plugin imports it from there."""

from powerstrip.contract.clock import Clock, SystemClock
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
from powerstrip.contract.health import HealthCheck, HostStatus, HostStep, OwnedCheck
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
from powerstrip.contract.routes import Access, RouteInfo, Routes, public
from powerstrip.contract.services import Services, service, services_of
from powerstrip.contract.tasks import BackgroundTask

__all__ = [
    "API_VERSION",
    "Access",
    "BackgroundTask",
    "BadRequest",
    "BuildError",
    "Clock",
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
    "HostStep",
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
    "RouteInfo",
    "Routes",
    "ServiceNotFoundError",
    "ServiceUnavailable",
    "Services",
    "Stage",
    "StartError",
    "StopError",
    "SystemClock",
    "Unauthorized",
    "UnsupportedMediaType",
    "ValidationError",
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
