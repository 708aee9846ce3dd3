"""Which plugins there are, and why each is on, off or skipped."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from powerstrip.cli.arguments import ConfigArguments
from powerstrip.cli.findings import stated
from powerstrip.cli.steps import assembly_of, build
from powerstrip.contract.errors import BuildError, CompositionError
from powerstrip.contract.findings import Finding
from powerstrip.contract.plugin import AnyPlugin
from powerstrip.host.application import Assembly
from powerstrip.host.config.config import Config
from powerstrip.host.discovery import Discovery, discover_plugins

State = Literal["on", "off", "skipped"]


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin, installed or only listed.

    `on`: it takes part; `skipped`: switched on, but it can't be used; `off`: not switched on, so it
    was not imported and what it requires, wants and provides is not known (None).
    """

    name: str
    distribution: str | None
    version: str | None
    state: State
    reason: str
    requires: tuple[str, ...] | None = None
    wants: tuple[str, ...] | None = None
    provides: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The form that `--json` prints."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Survey:
    """A config and how far it got: `assembly` when it could be built, else `refusals` that say why not."""

    source: ConfigArguments
    config: Config
    discovery: Discovery
    assembly: Assembly | None
    refusals: tuple[Finding, ...] = ()

    def states(self) -> list[PluginState]:
        """Every plugin that is installed or listed, by name."""
        names = {*self.discovery.plugins, *self.discovery.clashes, *self.config.plugins}
        return [self.state_of(name) for name in sorted(names)]

    def state_of(self, name: str) -> PluginState:
        installed = self.discovery.plugins.get(name)
        state, reason = self._verdict(name)
        plugin = None if state == "off" else self._class_of(name)
        return PluginState(
            name=name,
            distribution=installed.distribution if installed else None,
            version=installed.version if installed else None,
            state=state,
            reason=reason,
            requires=plugin.requires if plugin else None,
            wants=plugin.wants if plugin else None,
            provides=plugin.provides if plugin else None,
        )

    def _verdict(self, name: str) -> tuple[State, str]:
        section = self.config.plugins.get(name)
        place = stated(self.config.position(("plugins", name, "enabled")))
        if section is None:
            return "off", f"not listed in {self.source}"
        if not section.enabled:
            return "off", f"switched off {place}"
        if self.assembly and name in self.assembly.composition.skipped:
            return "skipped", f"skipped: {self.assembly.composition.skipped[name].reason}"
        refusals = [_brief(finding) for finding in self.refusals if finding.plugin == name and finding.level == "error"]
        if refusals:
            return "skipped", f"refused: {'; '.join(refusals)}"
        return "on", f"listed {place}"

    def _class_of(self, name: str) -> type[AnyPlugin] | None:
        installed = self.discovery.plugins.get(name)
        try:
            return installed.load() if installed else None
        except Exception:  # noqa: BLE001 - the refusal says already that, and why, it can't be imported
            return None


def survey(source: ConfigArguments) -> Survey:
    """Take the steps as far as they go. Raises ConfigError."""
    config = source.load()
    discovery = discover_plugins()
    try:
        return Survey(source, config, discovery, assembly_of(build(config, discovery)))
    except (CompositionError, BuildError) as error:
        return Survey(source, config, discovery, None, error.findings)


def _brief(finding: Finding) -> str:
    return f"{finding.message} ({finding.hint})" if finding.hint else finding.message
