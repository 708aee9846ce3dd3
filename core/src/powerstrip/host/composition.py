"""compose: the enabled plugins, imported, checked and put in order. A plan: nothing runs."""

import difflib
import heapq
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import ValidationError

from powerstrip.contract.errors import CompositionError, ConfigError
from powerstrip.contract.findings import Finding
from powerstrip.contract.plugin import API_VERSION, AnyPlugin
from powerstrip.host.config.config import Config
from powerstrip.host.config.settings import PluginSection
from powerstrip.host.containment import CONTAINED
from powerstrip.host.discovery import Discovery, InstalledPlugin
from powerstrip.host.logs import owned_by


@dataclass(frozen=True, slots=True)
class Member:
    """One plugin of a composition; `after` are the members it must start after, each with the reason."""

    name: str
    installed: InstalledPlugin
    plugin: AnyPlugin
    section: PluginSection
    after: Mapping[str, str] = field(default_factory=dict)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it provides: its own name first."""
        return (self.name, *self.plugin.provides)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A plugin that is on but can't be used (`on_failure: skip`); `member` is None when it could not even be made."""

    name: str
    reason: str
    findings: tuple[Finding, ...] = ()
    member: Member | None = None


@dataclass(frozen=True, slots=True)
class Composition:
    """The enabled plugins, dependencies first, with checked settings."""

    config: Config
    discovery: Discovery
    members: tuple[Member, ...]
    skipped: Mapping[str, Skipped]
    findings: tuple[Finding, ...] = ()

    @property
    def provided(self) -> frozenset[str]:
        """Every capability of the composition."""
        return frozenset(name for member in self.members for name in member.capabilities)

    def skip(self, name: str, reason: str, findings: Iterable[Finding] = ()) -> "Composition":
        """The composition without a member and without all that can't work without it."""
        gone = dict(self.skipped)
        member = next(member for member in self.members if member.name == name)
        gone[name] = Skipped(name, reason, tuple(findings), member)
        rest = tuple(member for member in self.members if member.name != name)
        rest, orphans = _drop_orphans(rest)
        return replace(self, members=rest, skipped=gone | orphans)


def compose(config: Config, discovery: Discovery, on_import: Callable[[], None] = lambda: None) -> Composition:
    """Import the enabled plugins, check them against one another and put them in order.

    `on_import` is called when their code is in memory and nothing is made of it yet. Raises CompositionError with
    everything that is wrong, the errors of a config that was only read included (ConfigError when there are no
    others). A plugin whose section says `on_failure: skip` is left out instead, and takes along what requires it.
    """
    draft = _Draft(config, discovery)
    enabled = [section for section in config.plugins.values() if section.enabled]
    for section in enabled:
        with owned_by(section.name):
            draft.load(section.name)
    on_import()
    for section in enabled:
        with owned_by(section.name):
            draft.admit(section)
    draft.check_conflicts()
    members = draft.satisfied_members()
    draft.check_sharing(members)
    ordered = _dependencies_first(members, draft)
    if any(finding.level == "error" for finding in draft.findings):
        raise CompositionError([*config.findings, *draft.findings])
    if config.has_errors:
        raise ConfigError([*config.findings, *draft.findings])
    return Composition(config, discovery, ordered, draft.skipped, (*config.findings, *draft.findings))


class _Draft:
    """A composition in the making: what was admitted, what was skipped, what is wrong."""

    def __init__(self, config: Config, discovery: Discovery) -> None:
        self.config = config
        self.discovery = discovery
        self.loaded: dict[str, type[AnyPlugin] | Finding] = {}  # classes, or why there is none
        self.members: dict[str, Member] = {}
        self.skipped: dict[str, Skipped] = {}
        self.findings: list[Finding] = []

    def load(self, name: str) -> None:
        """Import one plugin. Once: what has failed halfway may fail for another reason the next time."""
        installed = self.discovery.plugins.get(name)
        if installed is None:
            self.loaded[name] = self._not_installed(name)
            return
        try:
            self.loaded[name] = installed.load()
        except CONTAINED as error:
            self.loaded[name] = self._finding(name, "plugin.import-failed", f"can't be imported: {_brief(error)}")

    def admit(self, section: PluginSection) -> None:
        """Check the settings of one plugin and make it."""
        name = section.name
        plugin_class = self.loaded[name]
        if isinstance(plugin_class, Finding):
            self.refuse(section, [plugin_class])
            return
        findings = self._api_findings(name, plugin_class)
        try:
            settings = self.config.settings_of(name, plugin_class.settings_type)
            plugin = plugin_class(name, settings)
        except ConfigError as error:
            findings += error.findings
        except CONTAINED as error:
            findings.append(self._finding(name, "plugin.not-made", f"can't be made from its settings: {_brief(error)}"))
        if findings:
            self.refuse(section, findings)
            return
        self.members[name] = Member(name, self.discovery.plugins[name], plugin, section)

    def refuse(self, section: PluginSection, findings: list[Finding], member: Member | None = None) -> None:
        """Report what is wrong with a plugin, or leave it out when its section says so."""
        self.members.pop(section.name, None)
        if section.on_failure == "skip":
            reason = "; ".join(finding.message for finding in findings)
            self.skipped[section.name] = Skipped(section.name, reason, tuple(findings), member)
            self.findings += [replace(finding, level="warning") for finding in findings]
        else:
            self.findings += findings

    def check_conflicts(self) -> None:
        for member in list(self.members.values()):
            for other in self.members.values():
                clash = sorted(set(member.plugin.conflicts) & set(other.capabilities))
                if other.name == member.name or not clash:
                    continue
                message = f"can't work beside '{other.name}', which provides '{clash[0]}'"
                finding = self._finding(member.name, "plugin.conflict", message, "switch one of them off")
                self.refuse(member.section, [finding], member)
                break

    def satisfied_members(self) -> list[Member]:
        """The members whose requirements are met; what is missing is reported, or skipped with its cause."""
        while True:
            providers = _providers(self.members.values())
            lacking = [
                (member, missing)
                for member in self.members.values()
                if (missing := sorted(set(member.plugin.requires) - set(providers)))
            ]
            if not lacking:
                return [_placed(member, providers) for member in self.members.values()]
            for member, missing in lacking:
                self._lose(member, missing)

    def check_sharing(self, members: Iterable[Member]) -> None:
        """Warn of members that work for each process by itself where there are to be several."""
        workers = self.config.server.workers
        providers = _providers(members)
        for member in members if workers > 1 else ():
            wanted = member.plugin.shared_through
            if wanted and not set(wanted) & set(providers):
                message = f"works for each process by itself, and there are to be {workers} (server.workers)"
                hint = f"switch '{wanted[0]}' on, through which processes share it"
                finding = self._finding(member.name, "plugin.not-shared", message, hint)
                self.findings.append(replace(finding, level="warning"))

    def _lose(self, member: Member, missing: list[str]) -> None:
        lost = [name for name in missing if name in self.skipped or self._lost_capability(name)]
        if lost:
            self.members.pop(member.name)
            reason = f"requires '{lost[0]}', which is not available"
            finding = self._finding(member.name, "plugin.requirement-skipped", reason)
            self.skipped[member.name] = Skipped(member.name, reason, (finding,), member)
            self.findings.append(replace(finding, level="warning"))
            return
        self.refuse(member.section, [self._missing(member.name, name) for name in missing], member)

    def _lost_capability(self, capability: str) -> bool:
        return any(
            skipped.member is not None and capability in skipped.member.capabilities
            for skipped in self.skipped.values()
        )

    def _api_findings(self, name: str, plugin_class: type[AnyPlugin]) -> list[Finding]:
        try:
            fits = SpecifierSet(plugin_class.api).contains(API_VERSION)
        except InvalidSpecifier:
            message = f"states an api range that is no version specifier: {plugin_class.api!r}"
            return [self._finding(name, "plugin.api-range", message, "write it like '>=1.0,<2'")]
        if fits:
            return []
        message = f"works with plugin api {plugin_class.api}, this is {API_VERSION}"
        return [self._finding(name, "plugin.api-range", message, "install a version of it made for this powerstrip")]

    def _not_installed(self, name: str) -> Finding:
        if name in self.discovery.clashes:
            clash = self.discovery.clashes[name]
            return self.config.finding(("plugins", name), clash.code, clash.message, hint=clash.hint, plugin=name)
        close = difflib.get_close_matches(name, self.discovery.plugins, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"pip install powerstrip-{name.replace('_', '-')}"
        return self._finding(name, "plugin.not-installed", "is switched on but not installed", hint)

    def _missing(self, name: str, capability: str) -> Finding:
        providers = self.discovery.providers(capability)
        if providers:
            hint = f"switch '{providers[0]}' on: it is installed and provides '{capability}'"
        else:
            hint = f"install a plugin that provides '{capability}' and switch it on"
        return self._finding(
            name, "plugin.missing-requirement", f"requires '{capability}', which nothing provides", hint
        )

    def _finding(self, name: str, code: str, message: str, hint: str | None = None) -> Finding:
        return self.config.finding(("plugins", name), code, f"plugin '{name}' {message}", hint=hint, plugin=name)


def _providers(members: Iterable[Member]) -> dict[str, list[str]]:
    providers: dict[str, list[str]] = defaultdict(list)
    for member in members:
        for capability in member.capabilities:
            providers[capability].append(member.name)
    return providers


def _placed(member: Member, providers: Mapping[str, list[str]]) -> Member:
    after: dict[str, str] = {}
    for verb, names in (("requires", member.plugin.requires), ("wants", member.plugin.wants)):
        for capability in names:
            for provider in providers.get(capability, ()):
                if provider != member.name:
                    after.setdefault(provider, f"{verb} '{capability}'")
    return replace(member, after=after)


def _drop_orphans(members: tuple[Member, ...]) -> tuple[tuple[Member, ...], dict[str, Skipped]]:
    orphans: dict[str, Skipped] = {}
    while True:
        providers = _providers(members)
        lost = {
            member.name: missing[0]
            for member in members
            if (missing := sorted(set(member.plugin.requires) - set(providers)))
        }
        if not lost:
            return members, orphans
        for member in members:
            if member.name in lost:
                reason = f"requires '{lost[member.name]}', which is not available"
                orphans[member.name] = Skipped(member.name, reason, (), member)
        members = tuple(member for member in members if member.name not in lost)


def _dependencies_first(members: list[Member], draft: _Draft) -> tuple[Member, ...]:
    """A topological order; among what may come next the alphabet decides, so that no other order shows through."""
    by_name = {member.name: member for member in members}
    waiting = {member.name: set(member.after) for member in members}
    ready = [name for name, after in waiting.items() if not after]
    heapq.heapify(ready)
    ordered: list[Member] = []
    while ready:
        name = heapq.heappop(ready)
        del waiting[name]
        ordered.append(by_name[name])
        for other, after in waiting.items():
            if name in after:
                after.discard(name)
                if not after:
                    heapq.heappush(ready, other)
    if waiting:
        draft.findings.append(_cycle_finding(by_name, waiting, draft.config))
    return tuple(ordered)


def _cycle_finding(by_name: Mapping[str, Member], waiting: Mapping[str, set[str]], config: Config) -> Finding:
    path = [min(waiting)]
    while (following := min(waiting[path[-1]])) not in path:
        path.append(following)
    cycle = [*path[path.index(following) :], following]
    edges = [f"'{name}' {by_name[name].after[after]} of '{after}'" for name, after in pairwise(cycle)]
    return config.finding(
        ("plugins", cycle[0]),
        "plugin.cycle",
        f"plugins wait for one another: {', '.join(edges)}",
        hint="switch one of them off",
        plugin=cycle[0],
    )


def _brief(error: BaseException) -> str:
    """The error in one line with the line of code it came from, no traceback and no local values."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    # pydantic's text repeats the rejected values, which may be secrets
    text = f"{error.error_count()} invalid values" if isinstance(error, ValidationError) else str(error)
    return f"{type(error).__name__}: {text}{where}"
