"""Nothing of retired generations stays: objects, tasks, descriptors."""

import asyncio
import gc
import os
import weakref
from contextlib import suppress
from contextvars import Context, copy_context

import pytest
from core.tests.host.reloaded import failing, recording, retired, slow_plugin
from fastapi import APIRouter

from powerstrip import (
    Plugin,
    PluginSettings,
    Routes,
    StartError,
    hookimpl,
)
from powerstrip.host.supervisor import Supervisor
from powerstrip.testing.installed import discovery_with

pytestmark = pytest.mark.anyio


class TestMemory:
    async def test_retired_generations_and_stopped_plugins_are_gone(self, served):
        reloading = await served({"slow": slow_plugin(), "other": slow_plugin()}, "{slow: on, other: {prefix: /other}}")
        gone = []
        for size in range(2, 5):
            gone += [weakref.ref(reloading.generation), weakref.ref(reloading.plugin("other"))]
            await reloading.reload(f"{{slow: on, other: {{size: {size}, prefix: /other}}}}")
            await reloading.get("/other/quick").answer()
        await retired(reloading)

        assert [ref() for ref in gone] == [None] * len(gone)

    async def test_what_a_request_began_in_a_kept_plugin_does_not_keep_its_generation(self, served):
        class Keeping(Plugin[PluginSettings]):
            def __init__(self, name: str, settings: PluginSettings) -> None:
                super().__init__(name, settings)
                self.contexts: list[Context] = []

            @hookimpl
            def register_routes(self):
                router = APIRouter()
                router.add_api_route("/keep", self.keep)
                return [Routes(router, version=None)]

            async def keep(self) -> None:
                """Does what the event loop does for a connection that is opened here."""
                self.contexts.append(copy_context())

        reloading = await served({"keeping": Keeping, "other": recording([])})
        await reloading.get("/keep").answer()
        gone = [weakref.ref(reloading.generation), weakref.ref(reloading.plugin("other"))]
        await reloading.reload("{keeping: on}")
        await retired(reloading)

        assert [ref() for ref in gone] == [None, None]

    async def test_it_is_told_once_when_code_is_imported_and_nothing_is_made_of_it(self, powerstrip_config):
        made: list[str] = []
        told: list[list[str]] = []

        class Noting(Plugin[PluginSettings]):
            def __init__(self, name: str, settings: PluginSettings) -> None:
                super().__init__(name, settings)
                made.append(name)

        supervisor = Supervisor(
            [powerstrip_config({"noting": True})],
            environ={},
            discover=lambda: discovery_with({"noting": Noting}),
            on_import=lambda: told.append(list(made)),
        )
        await supervisor.reload()
        await supervisor.reload()
        await supervisor.close()

        assert told == [[]]

    async def test_many_reloads_leave_tasks_descriptors_and_objects_as_they_were(self, served):
        reloading = await served({"slow": slow_plugin(), "other": slow_plugin(), "second": failing()}, "{slow: on}")
        sections = [
            "{slow: on, other: {prefix: /other}}",
            "{slow: {size: 2}, other: {prefix: /other, size: 2}}",
            "{slow: {size: 2}, second: {fails: start}}",
            "{slow: on}",
        ]

        async def round_of_reloads() -> tuple[int, int, int]:
            for plugins in sections:
                with suppress(StartError):
                    await reloading.reload(plugins)
                await reloading.get("/quick").answer()
            await retired(reloading)
            objects = sum(
                1 for thing in gc.get_objects() if str(type(thing).__module__).startswith(("powerstrip", "fastapi"))
            )
            return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")), objects

        first = [await round_of_reloads() for _ in range(3)][-1]
        last = [await round_of_reloads() for _ in range(10)][-1]

        assert last == first
