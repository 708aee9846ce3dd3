"""The fixtures. pytest loads this module wherever Powerstrip is installed, so it imports nothing until one is used."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from powerstrip.testing.client import ClientFactory
    from powerstrip.testing.clock import FakeClock
    from powerstrip.testing.config import ConfigBuilder
    from powerstrip.testing.reloading import ReloadingFactory
    from powerstrip.testing.serving import ProcessFactory, ServedFactory

# ruff: noqa: PLC0415 - see above


@pytest.fixture
def powerstrip_config(tmp_path: "Path") -> "ConfigBuilder":
    """Writes a config: `path = powerstrip_config({"greeter": {"language": "fr"}}, app={"debug": True})`."""
    from powerstrip.testing.config import ConfigBuilder  # late, see above

    return ConfigBuilder(tmp_path)


@pytest.fixture
def powerstrip_client(powerstrip_config: "ConfigBuilder") -> "ClientFactory":
    """A client of composed plugins: `with powerstrip_client({"greeter": True}) as client: client.get(...)`."""
    from powerstrip.testing.client import ClientFactory  # late, see above

    return ClientFactory(powerstrip_config)


@pytest.fixture
def powerstrip_served(powerstrip_config: "ConfigBuilder") -> "ServedFactory":
    """The same behind a real server on a free port: `with powerstrip_served({"greeter": True}) as base_url: ...`."""
    from powerstrip.testing.serving import ServedFactory  # late, see above

    return ServedFactory(powerstrip_config)


@pytest.fixture
def powerstrip_reloading(powerstrip_config: "ConfigBuilder") -> "ReloadingFactory":
    """Plugins to reload: `async with powerstrip_reloading({"greeter": True}) as served: await served.reload(...)`."""
    from powerstrip.testing.reloading import ReloadingFactory  # late, see above

    return ReloadingFactory(powerstrip_config)


@pytest.fixture
def powerstrip_process(powerstrip_config: "ConfigBuilder", tmp_path: "Path") -> "ProcessFactory":
    """A real `powerstrip serve`, to be sent signals: `with powerstrip_process({"greeter": True}) as served: ...`."""
    from powerstrip.testing.serving import ProcessFactory  # late, see above

    return ProcessFactory(powerstrip_config, tmp_path)


@pytest.fixture
def fake_clock() -> "FakeClock":
    """A clock that goes on when it is told to: `powerstrip_client(..., clock=fake_clock)`."""
    from powerstrip.testing.clock import FakeClock  # late, see above

    return FakeClock()
