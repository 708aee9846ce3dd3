"""build: a composition becomes a FastAPI application. Nothing starts and nothing is read or opened."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from powerstrip.contract.errors import BuildError
from powerstrip.contract.findings import Finding
from powerstrip.contract.interceptors import Interceptor, Middleware
from powerstrip.contract.routes import RouteInfo
from powerstrip.host.composition import Composition, Member
from powerstrip.host.containment import CONTAINED
from powerstrip.host.docs_pages import docs_routes
from powerstrip.host.endpoints import OverridesProvider
from powerstrip.host.interception import Layer, order_layers, stack_layers
from powerstrip.host.openapi import OpenApiDocument
from powerstrip.host.problems import Problems
from powerstrip.host.registrations import Owned, Registrations, collect, implementation, source_of
from powerstrip.host.routes import FlatKey, OwnedRoute, RouteFlattener, unavailable
from powerstrip.host.routing import RouteIndex

# What is wrong with one plugin alone: it may be skipped, where a conflict of two leaves open which of them should go.
_FAULTS_OF_ONE = frozenset(("route.invalid", "middleware.not-made", "middleware.base-http", "plugin.hook-failed"))


@dataclass(frozen=True)
class Assembly:
    """What an application was built of: `application.state.powerstrip`."""

    composition: Composition
    registrations: Registrations
    layers: tuple[Layer, ...]
    index: RouteIndex
    made: Mapping[FlatKey, Sequence[OwnedRoute]]
    """The flat routes, for a reload to take again."""
    overrides: OverridesProvider
    inspected: tuple[Finding, ...] = ()
    """Warnings of plugins that saw the routes."""

    def strict_findings(self) -> list[Finding]:
        """What only `powerstrip check --strict` refuses: routes that don't say who may call them, shadows, and
        what plugins find in their own settings."""
        undeclared = [_undeclared(entry) for entry in self.index.routes if entry.access is None]
        shadows = [finding for _, finding in self.index.shadows()]
        strangers = _without_identity(self.composition, self.index)
        own = [replace(entry.value, level="warning", plugin=entry.plugin) for entry in self.registrations.findings]
        found = (*undeclared, *shadows, *strangers, *own, *self.inspected)
        return [_placed(self.composition, finding) for finding in found]


def build_application(
    composition: Composition, running: Assembly | None = None, overrides: OverridesProvider | None = None
) -> FastAPI:
    """Ask the plugins what they bring and make one application of it.

    What the plugins that it has in common with a `running` assembly have brought and what was made of their routes is
    taken again, so `overrides` has to stand for the overrides of all applications that take routes from one another;
    without it they are this application's. Raises BuildError with all findings. Plugins that fail here and may be
    skipped are left out.
    """
    composition, registrations = collect(composition, running.registrations if running else None)
    config = composition.config
    listens = telemetry_listens()
    app = FastAPI(
        title=config.app.title,
        version=config.app.version,
        description=config.app.description,
        openapi_url=None,  # the pages are ours: FastAPI's load their assets from a foreign host
        redirect_slashes=False,
        telemetry={"tracing": listens, "metrics": listens, "logs": listens},
    )
    while True:
        try:
            assemble(app, composition, registrations, overrides or app, running.made if running else {})
        except BuildError as error:
            composition = _without_culprits(composition, error)
        else:
            return app


def _without_culprits(composition: Composition, error: BuildError) -> Composition:
    """The composition without the plugins that can't be built, if all of them may be skipped; else the error again."""
    sections = {member.name: member.section for member in composition.members}
    for finding in error.findings:
        section = sections.get(finding.plugin or "")
        if finding.code not in _FAULTS_OF_ONE or section is None or section.on_failure != "skip":
            raise error
    for finding in error.findings:
        if finding.plugin and finding.plugin not in composition.skipped:
            composition = composition.skip(finding.plugin, finding.message, [finding])
    return composition


def telemetry_listens() -> bool:
    """Whether anybody can listen to FastAPI's own telemetry: without OpenTelemetry's SDK nobody can.

    FastAPI would ask its three providers on each request.
    """
    return find_spec("opentelemetry.sdk") is not None


def assemble(
    app: FastAPI,
    composition: Composition,
    registrations: Registrations,
    overrides: OverridesProvider,
    made: Mapping[FlatKey, Sequence[OwnedRoute]],
) -> Assembly:
    """(Re)fill an application: routes behind one index, inside the layers, inside the problem handling.

    Routes that were `made` of the same routers before are taken again. The routes of skipped plugins answer
    503; nothing else of theirs takes part.
    """
    registrations = registrations.without(frozenset(composition.skipped))
    config = composition.config
    layers = order_layers(registrations.interceptors, registrations.middleware)
    flattener = RouteFlattener(config.api.prefix, overrides, made)
    routes = [*_flat_routes(flattener, composition, registrations)]
    if config.app.docs_enabled:
        routes += docs_routes(app)
    index = RouteIndex(app.router, routes)
    findings = [finding for _, finding in index.conflicts()]
    findings += [*_middleware_findings(layers), *_order_findings(layers)]
    inspected = _inspections(composition.members, registrations, tuple(routes))
    findings += [finding for finding in inspected if finding.level == "error"]
    if findings:
        raise BuildError([_placed(composition, finding) for finding in findings])
    app.router.routes[:] = [entry.route for entry in routes]
    app.openapi = OpenApiDocument(app, routes, composition.members, registrations)  # type: ignore[method-assign]
    problems = Problems(registrations.problem_handlers, debug=config.app.debug)
    try:
        app.middleware_stack = stack_layers(index, layers, problems, index.route_of)
    except BuildError as error:
        raise BuildError([_placed(composition, finding) for finding in error.findings]) from error
    warnings = tuple(finding for finding in inspected if finding.level != "error")
    assembly = Assembly(composition, registrations, tuple(layers), index, flattener.made, overrides, warnings)
    app.state.powerstrip = assembly
    return assembly


def _flat_routes(
    flattener: RouteFlattener, composition: Composition, registrations: Registrations
) -> Iterator[OwnedRoute]:
    versions = {
        name: installed.version
        for name, installed in composition.discovery.plugins.items()
        if name in composition.config.plugins and composition.config.plugins[name].enabled
    }
    for entry in (*registrations.routes, *registrations.derived_routes):
        prefix = composition.config.plugins[entry.plugin].prefix or ""
        label = f"{entry.plugin}@{versions[entry.plugin]}"
        try:
            flat = flattener.flatten(entry, prefix, label)
        except Exception as error:
            if entry.plugin in composition.skipped:
                continue
            message = f"plugin '{entry.plugin}' has a route that can't be built: {type(error).__name__}: {error}"
            raise BuildError([_placed(composition, Finding("route.invalid", message, plugin=entry.plugin))]) from error
        for route in flat:
            yield unavailable(route) if entry.plugin in composition.skipped else route


def inspect_again(assembly: Assembly) -> None:
    """Show plugins the routes of an assembly that goes on, after they saw those of one that does not."""
    _inspections(assembly.composition.members, assembly.registrations, assembly.index.routes)


def _inspections(members: Sequence[Member], registrations: Registrations, routes: Sequence[RouteInfo]) -> list[Finding]:
    """What plugins have to say about all routes."""
    findings: list[Finding] = []
    for member in members:
        inspect = implementation(registrations.manager, member.plugin, "inspect_routes")
        if inspect is not None:
            try:
                found = list(inspect(routes) or ())
                if not all(isinstance(finding, Finding) for finding in found):
                    raise TypeError("it takes Finding objects")
                findings += [replace(finding, plugin=member.name) for finding in found]
            except CONTAINED as error:
                message = f"plugin '{member.name}' failed in inspect_routes: {type(error).__name__}: {error}"
                findings.append(Finding("plugin.hook-failed", message, plugin=member.name))
    return findings


def _middleware_findings(layers: list[Layer]) -> Iterator[Finding]:
    for entry in layers:
        cls = getattr(entry.value, "cls", None)
        if isinstance(cls, type) and issubclass(cls, BaseHTTPMiddleware):
            yield Finding(
                code="middleware.base-http",
                message=f"plugin '{entry.plugin}' registers {cls.__name__}, a BaseHTTPMiddleware",
                hint="write an Interceptor, or a pure ASGI class for what must see bodies",
                plugin=entry.plugin,
            )


def _order_findings(layers: list[Layer]) -> Iterator[Finding]:
    """A layer that reads a key of the request's state must be inside the one that writes it."""
    written: set[str] = set()
    later = [set(entry.value.writes) for entry in layers]
    for position, entry in enumerate(layers):
        for key in sorted(set(entry.value.reads) - written):
            writers = [layers[at] for at in range(position + 1, len(layers)) if key in later[at]]
            if writers:
                yield _misplaced(entry, writers[0], key)
        written |= set(entry.value.writes)


def _misplaced(reader: Layer, writer: Layer, key: str) -> Finding:
    return Finding(
        code="interceptor.order",
        message=f"{_layer_name(reader.value)} of plugin '{reader.plugin}' (stage {reader.value.stage.name}) reads "
        f"'{key}', which {_layer_name(writer.value)} of plugin '{writer.plugin}' "
        f"(stage {writer.value.stage.name}) writes only further inside",
        hint=f"give it a stage after {writer.value.stage.name}, or let '{reader.plugin}' want '{writer.plugin}'",
        plugin=reader.plugin,
    )


def _layer_name(layer: Interceptor | Middleware) -> str:
    return layer.cls.__name__ if isinstance(layer, Middleware) else type(layer).__name__


def _undeclared(entry: OwnedRoute) -> Finding:
    return Finding(
        code="route.access-undeclared",
        message=f"{entry.path} of plugin '{entry.plugin}' ({entry.source}) doesn't say who may call it",
        hint="add Depends(public), Depends(current_identity) or Depends(require(...)) to the route or its router",
        level="warning",
        plugin=entry.plugin,
    )


def _without_identity(composition: Composition, index: RouteIndex) -> Iterator[Finding]:
    if "identity" in composition.provided:
        return
    for entry in index.routes:
        if entry.access is not None and entry.access.kind in ("identity", "role", "permission"):
            yield Finding(
                code="route.no-identity",
                message=f"{entry.path} of plugin '{entry.plugin}' asks who calls, and nothing finds it out: "
                "it answers 401 to everyone",
                hint="switch on a plugin that provides 'identity'",
                level="warning",
                plugin=entry.plugin,
            )


def _placed(composition: Composition, finding: Finding) -> Finding:
    position = composition.config.position(("plugins", finding.plugin or ""))
    return replace(finding, position=position)


def source_of_layer(entry: Owned[Any]) -> str:
    """Where a layer's class was written."""
    return source_of(entry.value.cls if isinstance(entry.value, Middleware) else entry.value)
