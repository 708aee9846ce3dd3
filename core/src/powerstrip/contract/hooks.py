"""Every hook, in the order the host calls them.

A plugin implements the ones it needs with `@hookimpl`. All of them but `lifespan` run once while
the application is built: they declare, they do no I/O. No hook runs during a request.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from powerstrip.contract.commands import CommandRunner
from powerstrip.contract.exports import ExportSource
from powerstrip.contract.findings import Finding
from powerstrip.contract.health import HealthCheck
from powerstrip.contract.interceptors import Interceptor, Middleware
from powerstrip.contract.problems import ProblemHandler
from powerstrip.contract.routes import RouteInfo, Routes
from powerstrip.contract.services import Services
from powerstrip.contract.tasks import BackgroundTask

if TYPE_CHECKING:  # the command line's library is only needed by the command line
    import typer

PROJECT = "powerstrip"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookCalls(Protocol):
    """The service through which a plugin calls the hooks it opened with `register_hookspecs`."""

    def call_each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call one hook plugin by plugin, in composition order; yields each plugin's name and result.

        What a plugin learns so while it starts belongs to its state: when it would be told something else, a reload
        calls its `adapt`, or starts it anew. Later calls ask the plugins of the generation that serves then.
        """
        ...


class Hooks:
    """What a plugin can do."""

    @hookspec
    def register_hookspecs(self) -> Sequence[type]:  # type: ignore[empty-body]
        """Classes of hookspecs that this plugin opens to others."""

    @hookspec
    def register_routes(self) -> Sequence[Routes]:  # type: ignore[empty-body]
        """The routers this plugin answers with."""

    @hookspec
    def register_interceptors(self) -> Sequence[Interceptor]:  # type: ignore[empty-body]
        """What looks at the head of every request and response."""

    @hookspec
    def register_middleware(self) -> Sequence[Middleware]:  # type: ignore[empty-body]
        """Pure ASGI classes, for what must see bodies."""

    @hookspec
    def register_problem_handlers(self) -> Sequence[ProblemHandler]:  # type: ignore[empty-body]
        """How this plugin's own exceptions become problems."""

    @hookspec
    def register_health_checks(self) -> Sequence[HealthCheck]:  # type: ignore[empty-body]
        """Questions whose answers tell whether this plugin can work."""

    @hookspec
    def register_exports(self) -> Sequence[ExportSource]:  # type: ignore[empty-body]
        """Data this plugin offers for export."""

    @hookspec
    def register_derived_routes(self, hooks: HookCalls) -> Sequence[Routes]:  # type: ignore[empty-body]
        """Routers that follow from what other plugins declare: asked when all of them have said what they bring.

        `hooks.call_each("register_exports")`, say, gives every plugin's sources.
        """

    @hookspec
    def register_tasks(self) -> Sequence[BackgroundTask]:  # type: ignore[empty-body]
        """Supervised tasks that run while the plugin does."""

    @hookspec
    def register_findings(self) -> Sequence[Finding]:  # type: ignore[empty-body]
        """What `powerstrip check --strict` should refuse in this plugin's settings, though they work: warnings."""

    @hookspec
    def inspect_routes(self, routes: Sequence[RouteInfo]) -> Sequence[Finding]:  # type: ignore[empty-body]
        """See all routes of the composition, once they are known; say what is wrong with this plugin's settings then.

        A finding of level `warning` is for `powerstrip check --strict`, an error refuses the composition. A plugin that
        a reload keeps is asked again while it serves; when the reload fails, once more about the routes that go on.
        """

    @hookspec
    def customise_openapi(self, document: dict[str, Any]) -> None:
        """Change the OpenAPI document in place, after the host has made it."""

    @hookspec
    def register_commands(self, runner: CommandRunner) -> "Sequence[typer.Typer]":  # type: ignore[empty-body]
        """Command groups to add to `powerstrip`; only the command line calls this."""

    @hookspec
    def lifespan(self, services: Services) -> AbstractAsyncContextManager[Any]:  # type: ignore[empty-body]
        """An async context manager around the plugin's running time.

        It is entered after those of the plugins it requires or wants, in a task of its own and under
        a time limit, and left before theirs. What it yields (nothing, an object, or a tuple of
        objects) becomes services.
        """
