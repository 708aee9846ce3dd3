"""build, first half: ask every plugin once for what it brings, and remember whose it is."""

import difflib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import pluggy
from fastapi import APIRouter

from powerstrip.contract.errors import BuildError
from powerstrip.contract.exports import ExportSource
from powerstrip.contract.findings import Finding
from powerstrip.contract.health import HealthCheck
from powerstrip.contract.hooks import PROJECT, HookCalls, Hooks
from powerstrip.contract.interceptors import Interceptor, Middleware, Stage
from powerstrip.contract.plugin import AnyPlugin
from powerstrip.contract.problems import ProblemHandler
from powerstrip.contract.routes import Routes
from powerstrip.contract.tasks import BackgroundTask
from powerstrip.host.composition import Composition, Member
from powerstrip.host.containment import CONTAINED
from powerstrip.host.logs import owned_by

T = TypeVar("T")


@dataclass(frozen=True)
class Owned(Generic[T]):
    """A registered thing and the plugin it belongs to."""

    plugin: str
    value: T

    @cached_property
    def source(self) -> str:
        """The file and line of the thing's class or function, for findings."""
        return source_of(self.value)


class _PluginManager(pluggy.PluginManager):
    """pluggy's manager, looking for the marks of `@hookimpl` on the class only: half a millisecond less a plugin."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        return getattr(getattr(type(plugin), name, None), f"{PROJECT}_impl", None)


def _new_manager() -> pluggy.PluginManager:
    manager = _PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


@dataclass
class Registrations(HookCalls):
    """Everything the plugins of one composition brought, in composition order."""

    routes: list[Owned[Routes]] = field(default_factory=list)
    derived_routes: list[Owned[Routes]] = field(default_factory=list)
    interceptors: list[Owned[Interceptor]] = field(default_factory=list)
    middleware: list[Owned[Middleware]] = field(default_factory=list)
    problem_handlers: list[Owned[ProblemHandler]] = field(default_factory=list)
    health_checks: list[Owned[HealthCheck]] = field(default_factory=list)
    exports: list[Owned[ExportSource]] = field(default_factory=list)
    tasks: list[Owned[BackgroundTask]] = field(default_factory=list)
    findings: list[Owned[Finding]] = field(default_factory=list)
    openapi: list[Owned[Callable[..., None]]] = field(default_factory=list)
    hookspecs: list[Owned[type]] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=_new_manager)
    unavailable: frozenset[str] = frozenset()

    def without(self, unavailable: frozenset[str]) -> "Registrations":
        """The same without what belongs to some plugins; their routes stay, to answer 503."""
        kept = Registrations(
            routes=self.routes, derived_routes=self.derived_routes, manager=self.manager, unavailable=unavailable
        )
        for kind in fields(self):
            if kind.name not in ("routes", "derived_routes", "manager", "unavailable"):
                owned = [entry for entry in getattr(self, kind.name) if entry.plugin not in unavailable]
                setattr(kept, kind.name, owned)
        return kept

    def has_hook(self, hook: str) -> bool:
        return hasattr(self.manager.hook, hook)

    def contributors(self, hook: str) -> tuple[tuple[str, AnyPlugin], ...]:
        """The plugins that answer a hook, as `call_each` asks them."""
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return tuple((impl.plugin_name, impl.plugin) for impl in impls if impl.plugin_name not in self.unavailable)

    def copy_from(self, other: "Registrations", plugin: AnyPlugin) -> None:
        """Take over what a running plugin has registered, instead of asking it again."""
        self.manager.register(plugin, name=plugin.name)
        for kind in fields(self):
            # What follows from others is asked anew: they may be other ones.
            if kind.name not in ("derived_routes", "manager", "unavailable"):
                taken = [entry for entry in getattr(other, kind.name) if entry.plugin == plugin.name]
                getattr(self, kind.name).extend(taken)
        for entry in self.hookspecs:
            if entry.plugin == plugin.name:
                self.manager.add_hookspecs(entry.value)

    def call_each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        for impl in getattr(self.manager.hook, hook).get_hookimpls():
            if impl.plugin_name not in self.unavailable:
                yield impl.plugin_name, impl.function(**{name: arguments[name] for name in impl.argnames})


_KINDS: tuple[tuple[str, str, type], ...] = (
    ("register_routes", "routes", Routes),
    ("register_interceptors", "interceptors", Interceptor),
    ("register_middleware", "middleware", Middleware),
    ("register_problem_handlers", "problem_handlers", ProblemHandler),
    ("register_health_checks", "health_checks", HealthCheck),
    ("register_exports", "exports", ExportSource),
    ("register_tasks", "tasks", BackgroundTask),
    ("register_findings", "findings", Finding),
)


def collect(composition: Composition, running: Registrations | None = None) -> tuple[Composition, Registrations]:
    """Call the `register_…` hooks of every member, once. Of members that are `running` already what they said is taken.

    Returns the composition again, without the members that failed and may be skipped. Raises
    BuildError with all findings of the others.
    """
    registrations = Registrations(unavailable=frozenset(composition.skipped))
    findings: list[Finding] = []
    skipped = [entry.member for entry in composition.skipped.values() if entry.member]
    members = [*composition.members, *skipped]
    for ask in (partial(_enlist_and_collect, running=running), _collect_derived):
        for member in list(members):
            with owned_by(member.name):
                failure = ask(registrations, member)
            if failure is None:
                continue
            members.remove(member)  # it is asked nothing more, and answers nobody
            registrations.unavailable |= {member.name}
            if member.name in composition.skipped:
                continue
            if member.section.on_failure == "skip":
                composition = composition.skip(member.name, failure.message, [failure])
            else:
                findings.append(_placed(composition, failure))
    findings += [_placed(composition, finding) for finding in _unknown_hooks(registrations.manager)]
    if findings:
        raise BuildError(findings)
    return composition, registrations


def source_of(thing: Any) -> str:
    """Where something was written: `file.py:12`, with the package's part of the path only."""
    thing = inspect.unwrap(thing) if callable(thing) else type(thing)
    code = getattr(thing, "__code__", None)
    if code is not None:
        return f"{_short(code.co_filename)}:{code.co_firstlineno}"
    return f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', thing)}"


def _short(filename: str) -> str:
    parts = Path(filename).parts
    for marker in ("site-packages", "src"):
        if marker in parts:
            return str(Path(*parts[len(parts) - parts[::-1].index(marker) :]))
    return str(Path(*parts[-2:]))


def _enlist_and_collect(registrations: Registrations, member: Member, running: Registrations | None) -> Finding | None:
    if running is not None and running.manager.get_plugin(member.name) is member.plugin:
        registrations.copy_from(running, member.plugin)
        return None
    return _enlist(registrations, member) or _collect_from(registrations, member)


def _enlist(registrations: Registrations, member: Member) -> Finding | None:
    manager = registrations.manager
    try:
        manager.register(member.plugin, name=member.name)
        for specs in _results(manager, member, "register_hookspecs"):
            manager.add_hookspecs(specs)
            registrations.hookspecs.append(Owned(member.name, specs))
    except CONTAINED as error:
        return _failure(member.name, "plugin.bad-hook", f"can't be registered: {error}")
    return None


def _collect_from(registrations: Registrations, member: Member) -> Finding | None:
    for hook, kind, wanted in _KINDS:
        failure = _collect_kind(registrations, member, hook, kind, wanted)
        if failure is not None:
            return failure
    customise = implementation(registrations.manager, member.plugin, "customise_openapi")
    if customise is not None:
        registrations.openapi.append(Owned(member.name, customise))
    return None


def _collect_derived(registrations: Registrations, member: Member) -> Finding | None:
    return _collect_kind(
        registrations, member, "register_derived_routes", "derived_routes", Routes, hooks=registrations
    )


def _collect_kind(
    registrations: Registrations, member: Member, hook: str, kind: str, wanted: type, **arguments: Any
) -> Finding | None:
    try:
        values = _results(registrations.manager, member, hook, **arguments)
    except CONTAINED as error:
        return _failure(member.name, "plugin.hook-failed", f"failed in {hook}: {type(error).__name__}: {error}")
    strangers = [value for value in values if not isinstance(value, wanted)]
    if strangers:
        message = f"returned {strangers[0]!r} from {hook}, which takes {wanted.__name__} objects"
        return _failure(member.name, "plugin.bad-registration", message)
    malformed = next(filter(None, map(_malformed, values)), None)
    if malformed is not None:
        return _failure(member.name, "plugin.bad-registration", f"returned from {hook} {malformed}")
    getattr(registrations, kind).extend(Owned(member.name, value) for value in values)
    return None


def _malformed(value: Any) -> str | None:
    """What of a registered thing the application could not be built with."""
    match value:
        case Routes(router, version) if not isinstance(router, APIRouter) or not isinstance(version, str | None):
            return f"Routes of {router!r} and version {version!r}: it takes an APIRouter, and a text or None"
        case Interceptor() | Middleware() if not isinstance(value.stage, Stage):
            return f"{_named(value)} with stage {value.stage!r}: it takes a Stage"
        case Interceptor() | Middleware() if {type(value.reads), type(value.writes)} - {set, frozenset}:
            return f"{_named(value)} with `reads` or `writes` that is no set"
        case Middleware() if not callable(value.cls):
            return f"a Middleware of {value.cls!r}: it takes a class"
    return None


def _named(layer: Interceptor | Middleware) -> str:
    return f"a Middleware of {layer.cls!r}" if isinstance(layer, Middleware) else type(layer).__name__


def implementation(manager: pluggy.PluginManager, plugin: AnyPlugin, hook: str) -> Callable[..., Any] | None:
    """The plugin's own implementation of a hook, or None."""
    if manager.parse_hookimpl_opts(plugin, hook) is None:
        return None
    found: Callable[..., Any] = getattr(plugin, hook)
    return found


def _results(manager: pluggy.PluginManager, member: Member, hook: str, **arguments: Any) -> list[Any]:
    function = implementation(manager, member.plugin, hook)
    return list(function(**arguments) or ()) if function else []


def _unknown_hooks(manager: pluggy.PluginManager) -> Iterator[Finding]:
    known = [name for name in vars(Hooks) if not name.startswith("_")]
    for name, caller in sorted(vars(manager.hook).items()):
        if caller.spec is None:
            for impl in caller.get_hookimpls():
                if impl.optionalhook:  # for a plugin that may be off
                    continue
                close = difflib.get_close_matches(name, known, n=1)
                yield Finding(
                    code="plugin.unknown-hook",
                    message=f"plugin '{impl.plugin_name}' implements '{name}', which is no hook",
                    hint=f"did you mean '{close[0]}'?" if close else None,
                    plugin=impl.plugin_name,
                )


def _failure(plugin: str, code: str, message: str) -> Finding:
    return Finding(code=code, message=f"plugin '{plugin}' {message}", plugin=plugin)


def _placed(composition: Composition, finding: Finding) -> Finding:
    path = ("plugins", finding.plugin or "")
    return composition.config.finding(path, finding.code, finding.message, hint=finding.hint, plugin=finding.plugin)
