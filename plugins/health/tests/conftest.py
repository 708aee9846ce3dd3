"""Applications with health checks of a test's own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.testclient import TestClient

from powerstrip import HealthCheck, Plugin, PluginSettings, hookimpl
from powerstrip.testing import ClientFactory

Start = Callable[..., TestClient]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def plugin_with(*checks: HealthCheck) -> type[Plugin[PluginSettings]]:
    """A plugin that brings these checks."""

    class Checked(Plugin[PluginSettings]):
        """Checks something."""

        @hookimpl
        def register_health_checks(self) -> list[HealthCheck]:
            return list(checks)

    return Checked


@pytest.fixture
def start(powerstrip_client: ClientFactory) -> Iterator[Start]:
    """A client of a running application: `start(check, another, settings={"details": "never"})`."""
    with ExitStack() as stack:

        def do(*checks: HealthCheck, settings: Mapping[str, Any] | None = None, **options: Any) -> TestClient:
            extra = {"checked": plugin_with(*checks), **options.pop("extra", {})}
            plugins = {"health": settings or {}, **dict.fromkeys(extra, True), **options.pop("plugins", {})}
            return stack.enter_context(powerstrip_client(plugins, extra=extra, **options))

        yield do
