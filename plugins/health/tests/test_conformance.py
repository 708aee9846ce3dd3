"""Health keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestHealth(PluginConformance):
    plugin = "health"
    settings: ClassVar = {"details": "admin", "cache_ttl": 0.5}
