"""start and reload: what one running plugin sees of the generation that it serves in.

A plugin that a reload keeps goes on in the next generation. What it was handed at its start is a view, which moves
along at the swap; what it looked up there while it started tells later whether it may be kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar, cast

from powerstrip.contract.health import HostStatus, HostStep, OwnedCheck, ReloadOutcome
from powerstrip.contract.hooks import HookCalls
from powerstrip.contract.plugin import AnyPlugin
from powerstrip.contract.services import Services
from powerstrip.host.logs import current_scope
from powerstrip.host.registrations import Registrations
from powerstrip.host.services import ServiceRegistry

ServiceT = TypeVar("ServiceT")

Contributors = tuple[tuple[str, AnyPlugin], ...]


class Surroundings(HostStatus, Protocol):
    """What a view shows: a generation."""

    @property
    def services(self) -> ServiceRegistry: ...

    @property
    def registrations(self) -> Registrations: ...


class PluginView(Services):
    """The services as one plugin finds them, with notes of what it found.

    - `used`: the plugins whose services it looked up, whenever that was, but not for a request;
    - `missed`: the types of which nothing provided a service;
    - `contributions`: who answered each hook that it called while it started;
    - `facts`: what it asked about the host while it started, and that only a reload can change.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.used: set[str] = set()
        self.missed: set[type] = set()
        self.contributions: dict[str, Contributors] = {}
        self.facts: dict[str, object] = {}
        self._surroundings = surroundings
        self._is_starting = True
        self._own: Mapping[type, object] = {HostStatus: _HostView(self), HookCalls: _HookView(self)}

    @property
    def surroundings(self) -> Surroundings:
        return self._surroundings

    def settle(self) -> None:
        """The plugin has started: what it asks from now on it can ask again."""
        self._is_starting = False

    def move(self, surroundings: Surroundings) -> None:
        """Show another generation from now on. What it contributes is known to the plugin, or would not be kept."""
        self._surroundings = surroundings
        known = surroundings.registrations
        self.contributions = {hook: known.contributors(hook) for hook in self.contributions if known.has_hook(hook)}

    def merge(self, other: "PluginView") -> None:
        """Add the notes of a view that the plugin looked through while it adapted."""
        self.used |= other.used
        self.missed |= other.missed
        self.contributions |= other.contributions

    def note_hook(self, hook: str) -> None:
        if self._is_starting:
            self.contributions[hook] = self._surroundings.registrations.contributors(hook)

    def note_fact(self, name: str, value: object) -> None:
        if self._is_starting:
            self.facts[name] = value

    def __getitem__(self, kind: type[ServiceT]) -> ServiceT:
        own = self._own.get(kind)
        if own is not None:
            return cast("ServiceT", own)
        self._note_lookup(kind)
        return self._surroundings.services[kind]

    def get(self, kind: type[ServiceT]) -> ServiceT | None:
        own = self._own.get(kind)
        if own is not None:
            return cast("ServiceT", own)
        self._note_lookup(kind)
        return self._surroundings.services.get(kind)

    def _note_lookup(self, kind: type) -> None:
        if current_scope.get() is not None:  # what a request finds is of its moment
            return
        providers = self._surroundings.services.providers(kind)
        self.used.update(providers)
        if not providers:
            self.missed.add(kind)


class _HostView(HostStatus):
    """The state of whatever generation the view shows."""

    def __init__(self, view: PluginView) -> None:
        self._view = view

    @property
    def step(self) -> HostStep:
        return self._view.surroundings.step

    @property
    def generation(self) -> int:
        return self._view.surroundings.generation

    @property
    def started_at(self) -> datetime:
        return self._view.surroundings.started_at

    @property
    def version(self) -> str:
        version = self._view.surroundings.version
        self._view.note_fact("version", version)
        return version

    @property
    def debug(self) -> bool:
        debug = self._view.surroundings.debug
        self._view.note_fact("debug", debug)
        return debug

    @property
    def docs(self) -> bool:
        docs = self._view.surroundings.docs
        self._view.note_fact("docs", docs)
        return docs

    @property
    def checks(self) -> Sequence[OwnedCheck]:
        return self._view.surroundings.checks

    @property
    def unavailable(self) -> Mapping[str, str]:
        return self._view.surroundings.unavailable

    @property
    def last_reload(self) -> ReloadOutcome | None:
        return self._view.surroundings.last_reload


class _HookView(HookCalls):
    """The hooks of whatever generation the view shows."""

    def __init__(self, view: PluginView) -> None:
        self._view = view

    def call_each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        self._view.note_hook(hook)
        return self._view.surroundings.registrations.call_each(hook, **arguments)
