"""Plugins for tests that reload: they tell of their starts, depend on one another, take long, or fail."""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import yaml
from fastapi import APIRouter, WebSocket
from fastapi.responses import StreamingResponse

from powerstrip import (
    HealthCheck,
    Plugin,
    PluginSettings,
    Routes,
    hookimpl,
    hookspec,
)
from powerstrip.testing import Reloading


class Served(Reloading):
    """Plugins of a test, whose config is written as YAML."""

    async def reload(self, plugins: Any = None) -> dict[str, str]:
        return await super().reload(read(plugins))

    def write(self, plugins: Any, **sections: Any) -> None:
        super().write(read(plugins), **sections)


def read(plugins: Any) -> Any:
    return yaml.safe_load(plugins) if isinstance(plugins, str) else plugins


def recording(steps: list[str], **attributes: Any) -> type[Plugin[Any]]:
    """A plugin class that writes down when its objects start and stop."""

    class Recording(Plugin[Size]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services: Any) -> AsyncGenerator[Any]:
            steps.append(f"+{self.name}")
            try:
                yield await self.started(services)
            finally:
                steps.append(f"-{self.name}")

        async def started(self, services: Any) -> Any:
            return None

    return type("Recording", (Recording,), attributes)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what the tests wait for tells nobody
            await asyncio.sleep(0.001)


class Size(PluginSettings):
    size: int = 1


class Pool:
    """A service."""


def provider(steps: list[str], **attributes: Any) -> Any:
    async def started(self: Any, services: Any) -> Pool:
        self.pool = Pool()
        return self.pool

    return recording(steps, started=started, **attributes)


def user_of(steps: list[str], kind: type, **attributes: Any) -> Any:
    async def started(self: Any, services: Any) -> None:
        self.found = services.get(kind)

    return recording(steps, started=started, **attributes)


class Specs:
    """Hooks of a plugin of a test."""

    @hookspec
    def register_words(self):
        """Words."""


def guest(word: str) -> Any:
    class Guest(Plugin[PluginSettings]):
        @hookimpl
        def register_words(self):
            return [word]

    return Guest


def slow_plugin() -> Any:
    """Answers `/slow`, `/socket`, `/events` and `/download` until it is told to end."""

    class Slow(Plugin[Size]):
        def __init__(self, name: str, settings: Size) -> None:
            super().__init__(name, settings)
            self.go = asyncio.Event()
            self.stopped = False

        @hookimpl
        def register_routes(self):
            router = APIRouter()
            router.add_api_route("/quick", lambda: self.settings.size)
            router.add_api_route("/slow", self.slow)
            router.add_api_route("/events", lambda: StreamingResponse(self.stream(), media_type="text/event-stream"))
            router.add_api_route("/download", lambda: StreamingResponse(self.stream(), media_type="text/csv"))
            router.add_api_websocket_route("/socket", self.socket)
            return [Routes(router, version=None)]

        async def slow(self) -> int:
            await self.go.wait()
            return self.settings.size

        async def socket(self, websocket: WebSocket) -> None:
            await websocket.accept()
            while True:
                text = await websocket.receive_text()
                await websocket.send_text(f"{self.settings.size} {text}")

        async def stream(self) -> AsyncGenerator[bytes]:
            yield b"first"
            await self.go.wait()
            yield b"last"

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            yield
            self.stopped = True

    return Slow


class Settings(PluginSettings):
    fails: str = ""


def failing() -> Any:
    """Fails where its settings say."""

    class Failing(Plugin[Settings]):
        def fail(self, step: str) -> None:
            if self.settings.fails == step:
                raise RuntimeError("on purpose")

        def __init__(self, name: str, settings: Settings) -> None:
            super().__init__(name, settings)
            self.fail("compose")

        @hookimpl
        def register_routes(self):
            self.fail("build")
            return []

        @hookimpl
        def register_health_checks(self):
            return [HealthCheck("well", self.check)]

        async def check(self):
            self.fail("probe")
            if self.settings.fails == "probe in time":
                await asyncio.Event().wait()

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            self.fail("start")
            if self.settings.fails == "start in time":
                await asyncio.Event().wait()
            yield

    return Failing


async def retired(reloading: Reloading) -> None:
    """Wait until nothing is left to stop, and the threads that have built let go of what they have built."""
    await reloading.retired()
    await until(lambda: not any(thread.name == "powerstrip:build" for thread in threading.enumerate()))
    gc.collect()
