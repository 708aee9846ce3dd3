"""Ratelimit keeps every promise that a plugin makes."""

from typing import Any, ClassVar

import pytest

from powerstrip.testing import PluginConformance


class TestRatelimit(PluginConformance):
    plugin = "ratelimit"


class TestWithEverything(PluginConformance):
    plugin = "ratelimit"
    settings: ClassVar = {
        "default": "1000/minute",
        "algorithm": "gcra",
        "policies": {
            "streams": {"concurrent": 100},
            "talk": {"rate": "100/minute", "messages": True},
            "keys": {"rate": "1000/hour", "key": "api-key", "algorithm": "sliding", "mode": "observe"},
        },
        "exempt": {"networks": ["10.0.0.0/8"], "roles": ["admin"]},
        "admin_role": "admin",
    }


class TestWithRedis(PluginConformance):
    plugin = "ratelimit"
    settings: ClassVar = {"store": "redis"}
    requires_config: Any  # the server's port is known when it runs

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.requires_config = {"redis": {"url": redis_url}}
