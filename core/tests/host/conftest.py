"""Applications composed of plugin classes that stand in the test itself, and a served process whose config changes."""

import json
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx2
import pytest
import yaml
from click.testing import Result
from core.tests.host import reloaded
from starlette.testclient import TestClient
from typer.testing import CliRunner

from powerstrip.cli.main import build_command_line
from powerstrip.host.composition import Composition, compose
from powerstrip.host.config.config import load_config
from powerstrip.host.control import ask
from powerstrip.host.discovery import Discovery, InstalledPlugin
from powerstrip.host.generation import Generation
from powerstrip.testing import ProcessFactory, ServedProcess

WILFUL = """
    import asyncio
    import os
    from contextlib import asynccontextmanager
    from pathlib import Path

    from fastapi import APIRouter
    from powerstrip import Plugin, PluginSettings, Routes, hookimpl

    class Settings(PluginSettings):
        word: str = "first"
        start: str = ""

    class Wilful(Plugin[Settings]):
        @hookimpl
        def register_routes(self):
            router = APIRouter()
            router.add_api_route("/word", self.word, responses={418: {"description": self.settings.word}})
            return [Routes(router, version=None)]

        async def word(self) -> list[str]:
            return [self.settings.word, str(os.getpid())]

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            match self.settings.start.split():
                case ["fails"]:
                    raise RuntimeError("on purpose")
                case ["fails_in_one", flag]:
                    try:
                        Path(flag).touch(exist_ok=False)
                    except FileExistsError:
                        pass
                    else:
                        raise RuntimeError("on purpose, here only")
                case ["is_first_or_waits_for", flag]:
                    try:
                        Path(f"{flag}.first").touch(exist_ok=False)
                    except FileExistsError:
                        Path(f"{flag}.waiting").touch()
                        while not Path(flag).exists():
                            await asyncio.sleep(0.01)
                    else:
                        Path(f"{flag}.first").write_text(str(os.getpid()))
                case ["waits_for", flag]:
                    Path(f"{flag}.{os.getpid()}").touch()
                    while not Path(flag).exists():
                        await asyncio.sleep(0.01)
            yield
"""

LIMIT = 60.0


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


class Served:
    """A `powerstrip serve` whose config the test changes."""

    def __init__(self, process: ServedProcess, environ: dict[str, str]) -> None:
        self.process = process
        self._environ = environ

    def write(self, **settings: str) -> None:
        """Change the settings of the plugin, in one go, as editors do."""
        self.write_config({"wilful": settings or True})

    def write_config(self, plugins: dict[str, Any], **sections: Any) -> None:
        document = {**yaml.safe_load(self.process.config.read_text()), **sections, "plugins": plugins}
        draft = self.process.config.with_suffix(".draft")
        draft.write_text(json.dumps(document))
        draft.replace(self.process.config)

    def words(self, requests: int = 1) -> set[str]:
        return {self._word()[0] for _ in range(requests)}

    def pids(self, requests: int = 1) -> set[int]:
        return {int(self._word()[1]) for _ in range(requests)}

    def _word(self) -> list[str]:
        # Reading the certificates of the world takes longer than the request.
        answer = httpx2.get(f"{self.process.base_url}/word", timeout=LIMIT, verify=False).raise_for_status()
        word: list[str] = answer.json()
        return word

    def command(self, *line: str) -> Result:
        """Types `powerstrip ...`, in this process."""
        typed = [*line, "--config", str(self.process.config)]
        return CliRunner(env=self._environ).invoke(build_command_line(), typed, catch_exceptions=False)

    def reload(self) -> dict[str, Any]:
        return ask(self._control(), {"do": "reload"})

    def status(self) -> dict[str, Any]:
        return ask(self._control(), {"do": "status"})

    def _control(self) -> Path:
        return next(Path(self._environ["XDG_RUNTIME_DIR"]).glob("powerstrip/*.sock"))

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {LIMIT} s; the log says:\n{self.process.log}")


Serve = Callable[..., Any]


@pytest.fixture
def run() -> Iterator[Path]:
    """A runtime folder with a short name: the path of a socket may have a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="ps-") as folder:
        yield Path(folder)


@pytest.fixture
def wilful() -> str:
    """The source of the plugin `wilful`."""
    return WILFUL


@pytest.fixture
def serve(powerstrip_process: ProcessFactory, write_distribution, tmp_path: Path, run: Path) -> Serve:
    """Serve the plugin `wilful`: `with serve(workers=2) as served: ...`."""
    write_distribution(tmp_path / "lib", "powerstrip-wilful", {"wilful": WILFUL}, {"wilful": "wilful:Wilful"})
    environ = {"PYTHONPATH": str(tmp_path / "lib"), "XDG_RUNTIME_DIR": str(run)}

    @contextmanager
    def do(**server: Any) -> Iterator[Served]:
        server = {"reload": "signal", "drain_timeout": 1, **server}
        with powerstrip_process({"wilful": True}, environ=environ, server=server) as process:
            served = Served(process, environ)
            served.until(lambda: served.words() == {"first"})
            yield served

    return do


@pytest.fixture
async def served(powerstrip_config) -> AsyncGenerator[Any]:
    """Serve plugin classes: `await served({"one": One}, "{one: on}")`."""
    made: list[reloaded.Served] = []

    async def do(classes: dict[str, Any], plugins: str | None = None, **server: float) -> reloaded.Served:
        server = {"drain_timeout": 0.2, "start_timeout": 5, "stop_timeout": 1} | server
        sections = reloaded.read(plugins) if plugins else dict.fromkeys(classes, True)
        reloading = reloaded.Served(powerstrip_config, sections, classes, server=server)
        await reloading.supervisor.reload()
        made.append(reloading)
        return reloading

    yield do
    for reloading in made:
        await reloading.supervisor.close()
