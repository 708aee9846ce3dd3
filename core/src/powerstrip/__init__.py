"""Powerstrip composes one HTTP API out of plugins. This is all that a plugin author imports.

A name is looked up when it is first used. pytest imports `powerstrip.testing.pytest_plugin`, and so this package, in
every run of every project beside which Powerstrip is installed; the contract needs FastAPI, which takes 0.3 s.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from powerstrip.contract import *  # noqa: F403 - one list of names is enough, and it is the contract's
    from powerstrip.host.generation import create_app as create_app

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    contract = import_module("powerstrip.contract")
    if name == "__all__":
        return sorted([*contract.__all__, "create_app"])
    if name in contract.__all__:
        return getattr(contract, name)
    if name == "create_app":
        return import_module("powerstrip.host.generation").create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
