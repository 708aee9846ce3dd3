"""Ratelimit keeps every promise that a plugin makes."""

from powerstrip.testing import PluginConformance


class TestRatelimit(PluginConformance):
    plugin = "ratelimit"
