"""Edge keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestEdge(PluginConformance):
    plugin = "edge"
    settings: ClassVar = {
        "hosts": ["testserver", "127.0.0.1"],
        "cors": {"origins": ["https://app.example.com"], "credentials": True},
        "proxies": {"networks": ["10.0.0.0/8"]},
        "session": {"secret_key": "a key that has 32 characters...."},
        "max_body_sizes": {"/uploads": 1000},
    }
