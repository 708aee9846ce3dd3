"""For the tests of plugins: fakes, and the suite that every plugin passes. The fixtures are in `pytest_plugin`.

A name is looked up when it is first used: pytest imports this package in every run of every project.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from powerstrip.testing.client import ClientFactory as ClientFactory
    from powerstrip.testing.clock import FakeClock as FakeClock
    from powerstrip.testing.config import ConfigBuilder as ConfigBuilder
    from powerstrip.testing.conformance import PluginConformance as PluginConformance
    from powerstrip.testing.identity import FakeIdentity as FakeIdentity
    from powerstrip.testing.identity import signed_in as signed_in
    from powerstrip.testing.identity import token_of as token_of
    from powerstrip.testing.reloading import Reloading as Reloading
    from powerstrip.testing.reloading import ReloadingFactory as ReloadingFactory
    from powerstrip.testing.serving import ProcessFactory as ProcessFactory
    from powerstrip.testing.serving import ServedFactory as ServedFactory
    from powerstrip.testing.serving import ServedProcess as ServedProcess

_HOMES = (
    ("client", ("ClientFactory",)),
    ("clock", ("FakeClock",)),
    ("config", ("ConfigBuilder",)),
    ("conformance", ("PluginConformance",)),
    ("identity", ("FakeIdentity", "signed_in", "token_of")),
    ("reloading", ("Reloading", "ReloadingFactory")),
    ("serving", ("ProcessFactory", "ServedFactory", "ServedProcess")),
)


def __getattr__(name: str) -> Any:
    for module, names in _HOMES:
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
