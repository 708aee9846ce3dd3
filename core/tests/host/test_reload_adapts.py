"""A plugin that takes over new settings, or what others contribute now, stays through a reload."""

from contextlib import asynccontextmanager
from typing import Any

import pytest
from core.tests.host.reloaded import Specs, guest, recording

from powerstrip import (
    HookCalls,
    Plugin,
    PluginSettings,
    StartError,
    hookimpl,
)

pytestmark = pytest.mark.anyio


class TestWhatStaysThoughSomethingChanged:
    def reconfigurable(self, steps: list[str], limit: int = 10) -> Any:
        def reconfigure(self: Any, settings: Any) -> Any:
            if settings.size > limit:
                return None
            return lambda: steps.append(f"{self.name} is {self.settings.size}")

        return recording(steps, reconfigure=reconfigure)

    async def test_settings_that_a_plugin_takes_over_leave_it_running(self, served):
        steps: list[str] = []
        reloading = await served({"one": self.reconfigurable(steps)})
        one = reloading.plugin("one")

        assert await reloading.reload("{one: {size: 5}}") == {"one": "reconfigured"}

        assert reloading.plugin("one") is one
        assert steps == ["+one", "one is 5"]

    async def test_settings_that_it_can_not_take_over_restart_it(self, served):
        steps: list[str] = []
        reloading = await served({"one": self.reconfigurable(steps)})

        assert await reloading.reload("{one: {size: 50}}") == {"one": "restarted"}
        assert reloading.plugin("one").settings.size == 50

    async def test_a_reload_that_fails_later_takes_nothing_over(self, served):
        steps: list[str] = []
        reloading = await served({"one": self.reconfigurable(steps), "two": broken_lifespan()}, "{one: on}")

        with pytest.raises(StartError):
            await reloading.reload("{one: {size: 5}, two: on}")

        assert reloading.plugin("one").settings.size == 1
        assert steps == ["+one"]

    async def test_a_plugin_restarts_when_others_contribute_to_the_hooks_it_called(self, served):
        reloading = await served({"host": hooking(), "guest": guest("hello")}, "{host: on}")

        assert await reloading.reload("{host: on, guest: on}") == {"host": "restarted", "guest": "added"}
        assert reloading.plugin("host").words == ["hello"]

    async def test_a_plugin_that_adapts_is_told_before_the_others_start(self, served):
        steps: list[str] = []

        class Late(guest("late")):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                steps.append("late starts")
                yield

        reloading = await served({"host": adapting(steps), "late": Late}, "{host: on}")
        host = reloading.plugin("host")

        assert await reloading.reload("{host: on, late: on}") == {"host": "reconfigured", "late": "added"}

        assert reloading.plugin("host") is host
        assert steps == ["prepares for ['late']", "late starts", "has ['late']"]
        assert await reloading.reload() == {"host": "kept", "late": "kept"}

    async def test_a_plugin_that_fails_to_adapt_makes_the_reload_fail(self, served):
        reloading = await served({"host": adapting([], fails=True), "guest": guest("hello")}, "{host: on}")

        with pytest.raises(StartError, match="plugin 'host' failed at adapt: RuntimeError: no room"):
            await reloading.reload("{host: on, guest: on}")

        assert reloading.generation.generation == 1


def hooking() -> Any:
    class Hooking(Plugin[PluginSettings]):
        @hookimpl
        def register_hookspecs(self):
            return [Specs]

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            self.words = self.words_of(services)
            yield

        def words_of(self, services):
            return [word for _, words in services[HookCalls].call_each("register_words") for word in words]

    return Hooking


def adapting(steps: list[str], *, fails: bool = False) -> Any:
    class Adapting(hooking()):
        async def adapt(self, services):
            if fails:
                raise RuntimeError("no room")
            words = self.words_of(services)
            steps.append(f"prepares for {words}")
            return lambda: steps.append(f"has {words}")

    return Adapting


def broken_lifespan() -> Any:
    class Broken(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            raise RuntimeError("on purpose")
            yield

    return Broken
