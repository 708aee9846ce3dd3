"""Tracing keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestTracing(PluginConformance):
    plugin = "tracing"
    settings: ClassVar = {"server_timing": True, "access_log_exclude": ["/health*"]}
