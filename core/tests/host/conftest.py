"""Applications composed of plugin classes that stand in the test itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from starlette.testclient import TestClient

from powerstrip.host.composition import Composition, compose
from powerstrip.host.config.config import load_config
from powerstrip.host.discovery import Discovery, InstalledPlugin
from powerstrip.host.generation import Generation


@pytest.fixture
def anyio_backend():
    return "asyncio"


class InMemory(InstalledPlugin):
    """A plugin that is 'installed' by being a class in a test."""

    def __init__(self, name: str, plugin_class: Any) -> None:
        super().__init__(
            EntryPoint(name, f"{plugin_class.__module__}:{plugin_class.__qualname__}", "powerstrip.plugins")
        )
        self._plugin_class = plugin_class

    def load(self) -> Any:
        return self._plugin_class


Compose = Callable[..., Composition]


@pytest.fixture
def compose_plugins(tmp_path: Path) -> Compose:
    """Compose plugin classes by name: `compose_plugins({"one": One}, "plugins: {one: on}")`."""

    def do(classes: dict[str, Any], text: str | None = None, **discovery: Any) -> Composition:
        path = tmp_path / "config.yaml"
        path.write_text(text or "plugins:\n" + "".join(f"  {name}: on\n" for name in classes))
        installed = {name: InMemory(name, classes[name]) for name in sorted(classes)}
        return compose(load_config([path], environ={}), Discovery(installed, discovery.get("clashes", {})))

    return do


@pytest.fixture
def start_plugins(compose_plugins: Compose) -> Callable[..., AbstractContextManager[TestClient]]:
    """The same, started, behind a test client."""

    def do(classes: dict[str, Any], text: str | None = None) -> AbstractContextManager[TestClient]:
        generation = Generation(1, compose_plugins(classes, text))
        generation.application.router.lifespan_context = lambda _app: _running(generation)
        return TestClient(generation.application, raise_server_exceptions=False)

    return do


class _running:  # noqa: N801 - reads as the verb it is where it is used
    def __init__(self, generation: Generation) -> None:
        self.generation = generation

    async def __aenter__(self) -> None:
        await self.generation.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.generation.stop()


@pytest.fixture(name="write_distribution")
def _write_distribution() -> Callable[..., None]:
    """Makes a distribution: a folder for `sys.path` with metadata, entry points and modules."""
    return write_distribution


def write_distribution(
    folder: Path, name: str, modules: dict[str, str], plugins: dict[str, str], *, version: str = "1.0"
) -> None:
    """Write `modules` (name to source) and the metadata that advertises `plugins` (name to `module:Class`)."""
    folder.mkdir(parents=True, exist_ok=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(dedent(source))
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Made by a test\n"
    )
    entries = "".join(f"{plugin} = {value}\n" for plugin, value in plugins.items())
    (info / "entry_points.txt").write_text(f"[powerstrip.plugins]\n{entries}")
