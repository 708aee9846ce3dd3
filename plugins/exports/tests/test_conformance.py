"""Exports keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestExports(PluginConformance):
    plugin = "exports"
    requires_config: ClassVar = {"database": True}

    def _bench(self, folder):
        self.requires_config = {"database": {"url": f"sqlite+aiosqlite:///{folder}/powerstrip.db"}}
        return super()._bench(folder)
