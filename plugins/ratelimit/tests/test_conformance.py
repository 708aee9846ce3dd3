"""Ratelimit keeps every promise that a plugin makes."""

from typing import Any, ClassVar

import pytest

from powerstrip.testing import PluginConformance


class TestRatelimit(PluginConformance):
    plugin = "ratelimit"


class TestWithRedis(PluginConformance):
    plugin = "ratelimit"
    settings: ClassVar = {"store": "redis"}
    requires_config: Any  # the server's port is known when it runs

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.requires_config = {"redis": {"url": redis_url}}
