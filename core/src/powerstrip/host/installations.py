"""discover, while serving: what is installed meanwhile can be switched on, what is upgraded runs on as it was."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from powerstrip.host.composition import Composition
from powerstrip.host.discovery import Discovery, InstalledPlugin


class Installations:
    """The plugins that are installed, where the code of some has been imported by this process already."""

    def __init__(self, discover: Callable[[], Discovery]) -> None:
        self._discover = discover
        self._installed: Mapping[str, InstalledPlugin] = {}  # when it was last looked
        self._imported: dict[str, InstalledPlugin] = {}
        self._versions: dict[str, str] = {}

    def discover(self) -> Discovery:
        """What is installed now. A plugin whose code runs here is the one that it was then: its new code would be mixed
        with the old."""
        importlib.invalidate_caches()
        found = self._discover()
        self._installed = found.plugins
        plugins = {
            name: self._imported[name] if self._is_upgraded(plugin) else plugin
            for name, plugin in found.plugins.items()
        }
        return replace(found, plugins=MappingProxyType(plugins))

    def note_imported(self, composition: Composition) -> None:
        """Remember whose code has been imported, and in which version."""
        for member in composition.members:
            if self._imported.get(member.name) is not member.installed:
                self._imported.setdefault(member.name, member.installed)
                self._versions.setdefault(member.name, member.installed.version)

    def upgraded(self, names: Iterable[str]) -> Mapping[str, str]:
        """Those of the plugins that were found installed in another version than the one that runs: `old -> new`."""
        installed = self._installed
        return {
            name: f"{self._versions[name]} -> {installed[name].version}"
            for name in names
            if name in installed and self._is_upgraded(installed[name])
        }

    def _is_upgraded(self, plugin: InstalledPlugin) -> bool:
        return plugin.name in self._versions and self._versions[plugin.name] != plugin.version
