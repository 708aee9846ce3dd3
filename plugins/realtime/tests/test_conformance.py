"""Realtime keeps every promise that a plugin makes, with a database and without."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestRealtime(PluginConformance):
    plugin = "realtime"
    settings: ClassVar = {"history": {"size": 10}, "queue": {"when_full": "coalesce"}}
    requires_config: ClassVar = {"fake_identity": True}


class TestRealtimeWithDatabase(PluginConformance):
    plugin = "realtime"
    requires_config: ClassVar = {"fake_identity": True, "database": True}
