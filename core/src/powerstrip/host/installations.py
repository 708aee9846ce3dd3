"""discover, while serving: what is installed meanwhile can be switched on, what is upgraded runs on as it was."""

import importlib
import site
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
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
        self._path_files = _path_files()

    def discover(self) -> Discovery:
        """What is installed now. A plugin whose code runs here is the one that it was then: its new code would be mixed
        with the old."""
        self._follow_path_files()
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

    def _follow_path_files(self) -> None:
        """Read the path files that have come, as Python does when it starts: editable installs are made of them.

        Those that were there are not read again: what they import would run twice.
        """
        present = _path_files()
        for path in sorted(present - self._path_files):
            site.addpackage(str(path.parent), path.name, None)
        self._path_files |= present

    def _is_upgraded(self, plugin: InstalledPlugin) -> bool:
        return plugin.name in self._versions and self._versions[plugin.name] != plugin.version


def _path_files() -> frozenset[Path]:
    """The files `*.pth` in the folders that Python installs into and imports from."""
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    return frozenset(path for folder in folders if folder in sys.path for path in Path(folder).glob("*.pth"))
