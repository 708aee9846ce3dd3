"""Redis keeps every promise that a plugin makes, whether its server is there or not."""

import socket
from typing import Any

import pytest

from powerstrip.testing import PluginConformance


class TestWithAServer(PluginConformance):
    plugin = "redis"
    settings: Any  # the server's port is known when it runs

    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.settings = {"url": redis_url}


class TestWithoutAServer(PluginConformance):
    plugin = "redis"
    settings: Any

    @pytest.fixture(autouse=True)
    def _nobody(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.settings = {"url": f"redis://127.0.0.1:{unused.getsockname()[1]}"}
            yield


class TestWithAClusterThatIsAway(PluginConformance):
    plugin = "redis"
    settings: Any

    @pytest.fixture(autouse=True)
    def _nobody(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            self.settings = {"url": f"redis+cluster://127.0.0.1:{unused.getsockname()[1]}"}
            yield
