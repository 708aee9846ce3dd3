"""A plugin on the bench: composed again and again, started, asked, stopped."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from powerstrip.contract.errors import CompositionError, FindingsError
from powerstrip.contract.findings import Finding
from powerstrip.contract.plugin import AnyPlugin
from powerstrip.host.composition import Composition, compose
from powerstrip.host.config.config import load_config
from powerstrip.host.discovery import Discovery, InstalledPlugin
from powerstrip.host.generation import Generation
from powerstrip.testing.config import ConfigBuilder
from powerstrip.testing.installed import PluginClasses, discovery_with
from powerstrip.testing.reloading import Reloading

# Short, so that what hangs is told within seconds.
_SERVER: Mapping[str, Any] = {"start_timeout": 10.0, "stop_timeout": 3.0, "drain_timeout": 3.0}
_GOODBYE_LIMIT = 1.0


@dataclass
class Bench:
    """One plugin with valid settings, and the plugins it needs beside it."""

    folder: Path
    plugin: str
    settings: Mapping[str, Any]
    beside: Mapping[str, Any] = field(default_factory=dict)
    extra: PluginClasses = field(default_factory=dict)
    answer_within: float = 5.0

    def __post_init__(self) -> None:
        self.write_config = ConfigBuilder(self.folder)
        self.discovery = discovery_with(self.extra)

    @property
    def installed(self) -> InstalledPlugin:
        """The plugin as it is installed. AssertionError with what to do when it is not."""
        assert self.plugin in self.discovery.plugins, (
            f"no installed plugin is named '{self.plugin}'. Install its distribution (pip install --editable .), and "
            f'check its entry point: [project.entry-points."powerstrip.plugins"] {self.plugin} = "package.plugin:Class"'
        )
        return self.discovery.plugins[self.plugin]

    @property
    def plugin_class(self) -> type[AnyPlugin]:
        return self.installed.load()

    def sections(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The plugins' sections of a config. The plugin's own is the last."""
        return {**self.beside, self.plugin: self.settings if settings is None else settings}

    def compose(self, plugins: Mapping[str, Any], discovery: Discovery | None = None) -> Composition:
        """A new composition, with new plugin objects."""
        path = self.write_config(plugins, server=_SERVER)
        return compose(load_config([path], environ={}), discovery or self.discovery)

    def generation(self, plugins: Mapping[str, Any] | None = None, discovery: Discovery | None = None) -> Generation:
        """A new generation, built and not started. AssertionError with the findings when it can't be built."""
        assert self.installed
        try:
            return Generation(1, self.compose(plugins or self.sections(), discovery))
        except FindingsError as error:
            raise AssertionError(
                f"'{self.plugin}' can't be served with the suite's `settings` and `requires_config`:\n{error}"
            ) from None

    def reloading(self) -> Reloading:
        """The plugin to be served and reloaded. AssertionError when it is not installed."""
        assert self.installed
        return Reloading(self.write_config, self.sections(), self.extra, server=_SERVER)

    def refusal(self, settings: Mapping[str, Any]) -> tuple[Finding, ...]:
        """The findings that other settings are refused with; none when they are accepted."""
        assert self.installed
        try:
            self.compose(self.sections(settings))
        except CompositionError as error:
            return error.findings
        return ()

    async def statuses(self, generation: Generation, entry: ASGIApp | None = None) -> dict[str, int]:
        """What the plugin's paths without parameters answer to GET; `entry` stands before the generation."""
        owned = [entry for entry in generation.assembly.index.routes if entry.plugin == self.plugin]
        paths = [entry.path for entry in owned if "GET" in (entry.methods or ()) and "{" not in entry.path]
        return {path: await status_of(entry or generation.application, path, self.answer_within) for path in paths}


async def status_of(application: ASGIApp, path: str, within: float) -> int:
    """The status of GET. A stream is left once it has begun. AssertionError when no answer begins in time."""
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    leaving = asyncio.Event()
    request: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if request:
            return request.pop()
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.set_result(message["status"])

    answer = asyncio.create_task(_answer(application, path, receive, send), name=f"GET {path}")
    waited_for: list[asyncio.Future[Any]] = [status, answer]
    await asyncio.wait(waited_for, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    assert status.done(), f"GET {path} did not begin to answer within {within:g} s"
    await asyncio.wait([answer], timeout=_GOODBYE_LIMIT)
    leaving.set()
    await asyncio.wait([answer], timeout=_GOODBYE_LIMIT)
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)
    return status.result()


async def _answer(application: ASGIApp, path: str, receive: Any, send: Any) -> None:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await application(scope, receive, send)
