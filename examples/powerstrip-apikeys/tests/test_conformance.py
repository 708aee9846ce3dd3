"""The plugin keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestApiKeys(PluginConformance):
    plugin = "apikeys"
    settings: ClassVar = {
        "keys": [
            {"id": "reporting", "key": "a-key-of-the-conformance-suite-without-spaces"},
            {"id": "deploy", "key": f"sha256:{'0' * 64}", "roles": ["admin"]},
        ]
    }
