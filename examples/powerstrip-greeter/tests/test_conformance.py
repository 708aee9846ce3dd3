"""The greeter keeps every promise that a plugin makes."""

from typing import ClassVar

from powerstrip.testing import PluginConformance


class TestGreeter(PluginConformance):
    plugin = "greeter"
    settings: ClassVar = {"language": "fr", "time_zone": "Europe/Paris", "signature": "the greeter"}
