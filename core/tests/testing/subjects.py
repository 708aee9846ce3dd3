"""A plugin that does nothing wrong, and what puts plugins through one test of the suite."""

import pytest
from fastapi import APIRouter, Depends

from powerstrip import (
    Plugin,
    PluginSettings,
    Routes,
    hookimpl,
    public,
)
from powerstrip.testing import PluginConformance


def check(plugin_class, rule, folder, **attributes):
    """Put a plugin class through one test of the suite."""
    suite = type("TestSubject", (PluginConformance,), {"plugin": "subject", "extra": {"subject": plugin_class}})()
    vars(suite).update(attributes)
    getattr(suite, f"test_{rule}")(folder)


def complaint(plugin_class, rule, folder, **attributes) -> str:
    """What the suite has against it."""
    with pytest.raises(AssertionError) as failure:
        check(plugin_class, rule, folder, **attributes)
    return str(failure.value)


def routes_of(*endpoints, **options):
    router = APIRouter(tags=["subject"], **options)
    for number, endpoint in enumerate(endpoints):
        router.get(f"/subject/{number}")(endpoint)
    return [Routes(router)]


async def hello() -> str:
    """Say hello."""
    return "hello"


class Subject(Plugin[PluginSettings]):
    """Does nothing wrong. The subjects below each do one thing wrong."""

    @hookimpl
    def register_routes(self):
        return routes_of(hello, dependencies=[Depends(public)])
