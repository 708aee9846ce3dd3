"""discover: which plugins are installed. Reads distribution metadata only and imports nothing."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from powerstrip.contract.findings import Finding
from powerstrip.contract.plugin import AnyPlugin, Plugin

GROUP = "powerstrip.plugins"
PROVIDES_GROUP = "powerstrip.provides"


class InstalledPlugin:
    """A plugin known by its distribution's metadata; its code has not been imported.

    The metadata is parsed when it is first asked for: at a start nobody asks about what is off.
    """

    def __init__(self, entry_point: EntryPoint) -> None:
        self.entry_point = entry_point
        self.name = entry_point.name

    @property
    def value(self) -> str:
        """Where the class is: `package.module:Class`."""
        return self.entry_point.value

    @property
    def package(self) -> str:
        """The top-level package its class is in."""
        return self.entry_point.module.partition(".")[0]

    @cached_property
    def distribution(self) -> str:
        return self.entry_point.dist.name if self.entry_point.dist else "unknown"

    @cached_property
    def version(self) -> str:
        return self.entry_point.dist.version if self.entry_point.dist else "0"

    @cached_property
    def summary(self) -> str:
        return str(self.entry_point.dist.metadata["Summary"] or "") if self.entry_point.dist else ""

    def load(self) -> type[AnyPlugin]:
        """Import the plugin's class. Raises whatever the import raises, TypeError when it is no Plugin."""
        loaded: Any = self.entry_point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
            raise TypeError(f"{self.value} is no powerstrip.Plugin class")
        return loaded


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is installed: `plugins` in alphabetical order, `clashes` where several distributions claim one name."""

    plugins: Mapping[str, InstalledPlugin]
    clashes: Mapping[str, Finding]

    @property
    def packages(self) -> dict[str, str]:
        """The plugin that each top-level package belongs to, for log lines."""
        return {plugin.package: name for name, plugin in self.plugins.items()}

    def providers(self, capability: str) -> list[str]:
        """The installed plugins that say in their metadata that they provide a capability.

        An entry point of the group `powerstrip.provides`, named for the capability, points at the
        plugin's class: that tells what an installed plugin offers without importing it.
        """
        classes = {entry_point.value for entry_point in entry_points(group=PROVIDES_GROUP, name=capability)}
        return [name for name, plugin in self.plugins.items() if name == capability or plugin.value in classes]


def discover_plugins() -> Discovery:
    """Find the installed plugins. A name that two distributions claim belongs to neither."""
    claims: dict[str, list[InstalledPlugin]] = defaultdict(list)
    for entry_point in entry_points(group=GROUP):
        claims[entry_point.name].append(InstalledPlugin(entry_point))
    alone = {name: claims[name][0] for name in sorted(claims) if len(claims[name]) == 1}
    clashes = {name: _clash(name, claims[name]) for name in sorted(claims) if len(claims[name]) > 1}
    return Discovery(MappingProxyType(alone), MappingProxyType(clashes))


def _clash(name: str, claims: list[InstalledPlugin]) -> Finding:
    owners = " and ".join(sorted(f"{plugin.distribution} {plugin.version}" for plugin in claims))
    return Finding(
        code="plugin.name-clash",
        message=f"the plugin name '{name}' is claimed by {owners}",
        hint="uninstall all of them but one",
        plugin=name,
    )
