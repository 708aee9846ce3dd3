"""Plugins that are 'installed' by being a class in a test."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from types import MappingProxyType

from powerstrip.contract.plugin import AnyPlugin
from powerstrip.host.discovery import GROUP, Discovery, InstalledPlugin, discover_plugins
from powerstrip.testing.identity import NAME as FAKE_IDENTITY
from powerstrip.testing.identity import FakeIdentity

PluginClasses = Mapping[str, type[AnyPlugin]]


class InMemoryPlugin(InstalledPlugin):
    """A plugin class without a distribution."""

    def __init__(self, name: str, plugin_class: type[AnyPlugin]) -> None:
        super().__init__(EntryPoint(name, f"{plugin_class.__module__}:{plugin_class.__qualname__}", GROUP))
        self._plugin_class = plugin_class

    def load(self) -> type[AnyPlugin]:
        return self._plugin_class


def discovery_with(extra: PluginClasses) -> Discovery:
    """What is installed, the fake identity, and `extra` plugin classes by name, which go before the installed."""
    found = discover_plugins()
    classes: dict[str, type[AnyPlugin]] = {FAKE_IDENTITY: FakeIdentity, **extra}
    plugins = {**found.plugins, **{name: InMemoryPlugin(name, classes[name]) for name in classes}}
    return Discovery(MappingProxyType({name: plugins[name] for name in sorted(plugins)}), found.clashes)
