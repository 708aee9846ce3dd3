"""reload, before anything starts: which of the running plugins the next generation keeps, and why the others go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from powerstrip.contract.errors import PluginError
from powerstrip.contract.hooks import PROJECT
from powerstrip.contract.plugin import AnyPlugin, PluginSettings
from powerstrip.host.composition import Composition, Member
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.generation import Generation, Inheritance
from powerstrip.host.lifecycle import RunningPlugin
from powerstrip.host.openapi import document_changes
from powerstrip.host.staying import Switch, can_adapt, reconfigured

ChangeKind = Literal["kept", "reconfigured", "restarted", "added", "removed"]

_STAYING = frozenset(("kept", "reconfigured"))


@dataclass(frozen=True, slots=True)
class PluginChange:
    """What a reload does with one plugin, and why."""

    plugin: str
    kind: ChangeKind
    reason: str


@dataclass(frozen=True)
class Transition:
    """The way from the generation that serves to the next: a composition whose kept members are the running objects."""

    composition: Composition
    changes: tuple[PluginChange, ...]
    inheritance: Inheritance
    switches: Mapping[str, Switch] = field(default_factory=dict)


def plan_transition(
    current: Generation | None, composition: Composition, forced: Mapping[str, str] | None = None
) -> Transition:
    """Decide plugin by plugin. Running plugins are asked whether they can take over new settings; nothing changes.

    `forced` are plugins that turned out to need a restart, each with the reason.
    """
    if current is None:
        changes = tuple(PluginChange(member.name, "added", "switched on") for member in composition.members)
        return Transition(composition, changes, Inheritance())
    return _Decision(current, composition, forced or {}).transition()


@dataclass
class _Decision:
    current: Generation
    composition: Composition
    forced: Mapping[str, str]
    verdicts: dict[str, tuple[ChangeKind, str]] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._running = dict(self.current.running)
        self._objects = {member.name: member.plugin for member in self.current.composition.members}
        for member in self.composition.members:
            self.verdicts[member.name] = self._on_its_own(member)

    def transition(self) -> Transition:
        while self._spread():
            pass
        adapting = frozenset(name for name in self._staying() if self._other_contributions(name))
        for name in sorted(adapting):
            reason = f"takes over what others contribute to {self._other_contributions(name)}"
            self.verdicts[name] = ("reconfigured", reason)
        members = tuple(
            replace(member, plugin=self._objects[member.name]) if self._stays(member.name) else member
            for member in self.composition.members
        )
        running = {name: self._running[name] for name in self._staying()}
        switches = {name: self.switches[name] for name in running if name in self.switches}
        composition = replace(self.composition, members=members)
        return Transition(composition, tuple(self._changes()), Inheritance(running, adapting), switches)

    def _on_its_own(self, member: Member) -> tuple[ChangeKind, str]:
        """The verdict on a plugin for itself, whatever becomes of those that it depends on."""
        name, running = member.name, self._running.get(member.name)
        if running is None:
            skipped = self.current.composition.skipped.get(name)
            return "added", f"was not available: {skipped.reason}" if skipped else "switched on"
        if not running.is_up:
            return "restarted", "it had ended"
        if name in self.forced:
            return "restarted", self.forced[name]
        old = self._objects[name]
        facts = self._changed_facts(running)
        if type(old) is not type(member.plugin):
            return "restarted", "its code is another"
        if facts:
            return "restarted", f"{' and '.join(facts)} changed"
        return self._on_its_settings(old, member.plugin.settings)

    def _on_its_settings(self, old: AnyPlugin, settings: PluginSettings) -> tuple[ChangeKind, str]:
        if old.settings == settings:
            return "kept", "nothing changed"
        reason = f"changed: {', '.join(_changed_keys(old.settings, settings))}"
        switch = reconfigured(old, settings)
        if switch is None:
            return "restarted", reason
        self.switches[old.name] = switch
        return "reconfigured", reason

    def _changed_facts(self, running: RunningPlugin) -> list[str]:
        app = self.composition.config.app
        return [f"app.{name}" for name, value in sorted(running.view.facts.items()) if getattr(app, name) != value]

    def _spread(self) -> bool:
        """Restart those that would now find something else than when they started; False when there are none left."""
        for member in self.composition.members:
            reason = self._stays(member.name) and self._lost_ground(member)
            if reason:
                self.verdicts[member.name] = ("restarted", reason)
                return True
        return False

    def _lost_ground(self, member: Member) -> str | None:
        view = self._running[member.name].view
        for name in sorted(view.used):
            if name in self._running and not self._stays(name):
                return f"it uses '{name}', which {self._fate(name)}"
        for other in self.composition.members:
            provided = self.current.provides(type(other.plugin)) or frozenset()
            if not self._stays(other.name) and view.missed & provided:
                return f"it looked for what '{other.name}' provides, which {self._fate(other.name)}"
        hook = self._other_contributions(member.name)
        if hook and not can_adapt(self._objects[member.name]):
            return f"other plugins contribute to its {hook}"
        return None

    def _fate(self, name: str) -> str:
        kind = self.verdicts[name][0] if name in self.verdicts else "removed"
        return {"restarted": "restarts", "added": "is there now", "removed": "goes"}[kind]

    def _other_contributions(self, name: str) -> str | None:
        """A hook that this plugin called while it started, and that others would answer now."""
        for hook, contributors in sorted(self._running[name].view.contributions.items()):
            now = {
                member.name: self._object_of(member)
                for member in self.composition.members
                if _implements(member.plugin, hook)
            }
            if {plugin: id(thing) for plugin, thing in contributors} != {key: id(now[key]) for key in now}:
                return hook
        return None

    def _object_of(self, member: Member) -> AnyPlugin:
        return self._objects[member.name] if self._stays(member.name) else member.plugin

    def _stays(self, name: str) -> bool:
        return name in self.verdicts and self.verdicts[name][0] in _STAYING

    def _staying(self) -> list[str]:
        return [member.name for member in self.composition.members if self._stays(member.name)]

    def _unsure(self, name: str) -> str:
        """What can only be known when the others have started: whether one provides what this one looked for in vain.

        Those that have never run here and do not state what they provide can be any that it starts after.
        """
        if not self._stays(name) or not self._running[name].view.missed:
            return ""
        after = next(member.after for member in self.composition.members if member.name == name)
        newcomers = (other for other in self.composition.members if other.name in after)
        open_ones = [other.name for other in newcomers if self.current.provides(type(other.plugin)) is None]
        return f"; restarts if '{open_ones[0]}' provides what it looked for in vain" if open_ones else ""

    def _changes(self) -> Iterator[PluginChange]:
        for name, (kind, reason) in self.verdicts.items():
            yield PluginChange(name, kind, reason + self._unsure(name))
        for name in self._running:
            if name not in self.verdicts:
                skipped = self.composition.skipped.get(name)
                yield PluginChange(name, "removed", f"skipped: {skipped.reason}" if skipped else "switched off")


def _implements(plugin: AnyPlugin, hook: str) -> bool:
    return hasattr(getattr(type(plugin), hook, None), f"{PROJECT}_impl")


def _changed_keys(old: PluginSettings, new: PluginSettings) -> list[str]:
    """The names of the settings that differ; their values may be secrets."""
    names = type(new).model_fields
    return [name for name in names if getattr(old, name) != getattr(new, name)] or ["its settings"]


@dataclass(frozen=True)
class ReloadPlan:
    """What a reload does, or would do: plugins, routes (`METHOD /path`), and what only a restart can bring about."""

    generation: int
    changes: tuple[PluginChange, ...]
    routes_gained: tuple[str, ...]
    routes_lost: tuple[str, ...]
    routes_changed: tuple[str, ...]
    restart_needed: tuple[str, ...]
    api_changed: tuple[str, ...] | None = None
    """Operations and schemas that stay and change; None where nobody has asked, for it takes the OpenAPI documents."""

    def summary(self) -> dict[str, Any]:
        """The plugins by what becomes of them, without those that nothing happens to: for the log."""
        kinds = dict.fromkeys(change.kind for change in self.changes if change.kind != "kept")
        return {kind: [change.plugin for change in self.changes if change.kind == kind] for kind in kinds}

    def to_dict(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return {
            "generation": self.generation,
            "plugins": [
                {"plugin": change.plugin, "change": change.kind, "reason": change.reason} for change in self.changes
            ],
            "routes_gained": list(self.routes_gained),
            "routes_lost": list(self.routes_lost),
            "routes_changed": list(self.routes_changed),
            "api_changed": None if self.api_changed is None else list(self.api_changed),
            "restart_needed": list(self.restart_needed),
        }


def describe_plan(
    current: Generation, following: Generation, transition: Transition, upgraded: Mapping[str, str]
) -> ReloadPlan:
    """The plan in words, once the next generation is built. `upgraded` are plugins whose old code goes on."""
    before, after = _routes(current), _routes(following)
    common = before.keys() & after.keys()
    return ReloadPlan(
        generation=following.generation,
        changes=transition.changes,
        routes_gained=tuple(sorted(after.keys() - before.keys())),
        routes_lost=tuple(sorted(before.keys() - after.keys())),
        routes_changed=tuple(sorted(name for name in common if before[name] != after[name])),
        restart_needed=(
            *_restart_needed(current.listens_with, following.composition.config.server),
            *(f"plugin '{name}' was upgraded: {versions}" for name, versions in upgraded.items()),
        ),
    )


def describe_api(plan: ReloadPlan, current: Generation, following: Generation) -> ReloadPlan:
    """The plan with what changes in the OpenAPI document, which takes some 50 ms: not for the event loop."""
    try:
        changed = tuple(document_changes(current.application.openapi(), following.application.openapi()))
    except PluginError as error:
        changed = (f"(unknown: {error})",)
    return replace(plan, api_changed=changed)


# What the listener or the processes were made with.
_MADE_ONCE = ("host", "port", "workers", "backlog", "control")


def _restart_needed(old: ServerSettings, new: ServerSettings) -> Iterator[str]:
    """The settings that differ and only a restart can apply."""
    for name in _MADE_ONCE:
        if getattr(old, name) != getattr(new, name):
            yield f"server.{name}"


def _routes(generation: Generation) -> Mapping[str, object]:
    """What clients can call, with what they may notice when it changes."""
    found: dict[str, object] = {}
    for entry in generation.assembly.index.routes:
        if entry.plugin not in generation.composition.skipped:
            is_deprecated = getattr(entry.route, "deprecated", None)
            for method in entry.method_names:
                found[f"{method} {entry.path}"] = (entry.plugin, str(entry.access), is_deprecated)
    return found
