"""A reload keeps the plugins of which nothing changed, and restarts those that would find something else."""

import asyncio
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from core.tests.host.reloaded import Pool, Specs, guest, provider, recording, slow_plugin, until, user_of
from fastapi import APIRouter, Depends

from powerstrip import (
    BackgroundTask,
    Event,
    EventBus,
    HookCalls,
    HostStatus,
    Plugin,
    PluginSettings,
    Routes,
    hookimpl,
    service,
)

pytestmark = pytest.mark.anyio


class TestWhatIsKept:
    async def test_a_plugin_of_which_nothing_changed_keeps_its_object_and_is_not_started_again(self, served):
        steps: list[str] = []
        reloading = await served({"one": recording(steps), "two": recording(steps)})
        one = reloading.plugin("one")

        changes = await reloading.reload("{one: on, two: {size: 2}}")
        await reloading.retired()

        assert changes == {"one": "kept", "two": "restarted"}
        assert reloading.plugin("one") is one
        assert steps == ["+one", "+two", "+two", "-two"]

    async def test_a_plugin_restarts_with_the_one_whose_service_it_uses(self, served):
        steps: list[str] = []
        classes = {"pool": provider(steps), "user": user_of(steps, Pool, requires=("pool",)), "other": recording(steps)}
        reloading = await served(classes)

        changes = await reloading.reload("{pool: {size: 2}, user: on, other: on}")

        assert changes == {"pool": "restarted", "user": "restarted", "other": "kept"}
        assert reloading.plugin("user").found is reloading.plugin("pool").pool

    async def test_what_only_starts_after_another_plugin_and_uses_nothing_of_it_is_kept(self, served):
        reloading = await served({"pool": provider([]), "after": recording([], requires=("pool",))})

        assert await reloading.reload("{pool: {size: 2}, after: on}") == {"pool": "restarted", "after": "kept"}

    async def test_a_plugin_that_wanted_in_vain_restarts_when_what_it_wants_comes(self, served):
        classes = {"pool": provider([]), "user": user_of([], Pool, wants=("pool",))}
        reloading = await served(classes, "{user: on}")
        assert reloading.plugin("user").found is None

        changes = await reloading.reload("{pool: on, user: on}")

        assert changes == {"pool": "added", "user": "restarted"}
        assert reloading.plugin("user").found is reloading.plugin("pool").pool

    async def test_a_plugin_that_found_everything_or_looked_for_something_else_is_kept_when_what_it_wants_comes(
        self, served
    ):
        classes = {"pool": provider([]), "user": user_of([], dict, wants=("pool",))}
        reloading = await served(classes, "{user: on}")

        assert await reloading.reload("{pool: on, user: on}") == {"pool": "added", "user": "kept"}
        await reloading.reload("{user: on}")
        assert await reloading.reload("{pool: on, user: on}") == {"pool": "added", "user": "kept"}

    async def test_a_service_that_is_looked_up_for_a_request_binds_nobody(self, served):
        class Asking(Plugin[PluginSettings]):
            @hookimpl
            def register_routes(self):
                router = APIRouter()
                router.add_api_route("/who", self.who)
                return [Routes(router, version=None)]

            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                self.services = services
                yield

            async def who(self) -> bool:
                return self.services.get(Pool) is not None

        reloading = await served({"asking": Asking, "pool": provider([])})
        assert (await reloading.get("/who").answer())[1] == b"true"

        assert await reloading.reload("{asking: on}") == {"asking": "kept", "pool": "removed"}
        assert (await reloading.get("/who").answer())[1] == b"false"

    async def test_a_plugin_restarts_when_what_it_wants_and_uses_goes(self, served):
        classes = {"pool": provider([]), "user": user_of([], Pool, wants=("pool",))}
        reloading = await served(classes)

        assert await reloading.reload("{user: on}") == {"user": "restarted", "pool": "removed"}
        assert reloading.plugin("user").found is None

    async def test_the_background_tasks_of_a_kept_plugin_go_on(self, served):
        rounds: list[int] = []
        beat = asyncio.Event()

        async def run(services: Any) -> None:
            rounds.append(len(rounds))
            await beat.wait()
            rounds.append(services[HostStatus].generation)

        class Beating(Plugin[PluginSettings]):
            @hookimpl
            def register_tasks(self):
                return [BackgroundTask("beat", run)]

        reloading = await served({"beating": Beating})
        await asyncio.sleep(0)
        await reloading.reload()
        await reloading.retired()
        beat.set()
        await until(lambda: len(rounds) == 2)

        assert rounds == [0, 2]

    async def test_a_kept_plugin_sees_the_state_and_the_hooks_of_the_generation_that_serves(self, served):
        class Host(Plugin[PluginSettings]):
            @hookimpl
            def register_hookspecs(self):
                return [Specs]

            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                self.status, self.hooks = services[HostStatus], services[HookCalls]
                yield

        reloading = await served({"host": Host, "guest": guest("guest")}, "{host: on}")
        host = reloading.plugin("host")
        before = [*host.hooks.call_each("register_words")]

        assert await reloading.reload("{host: on, guest: on}") == {"host": "kept", "guest": "added"}

        assert (host.status.generation, host.status.step) == (2, "serving")
        assert (before, [*host.hooks.call_each("register_words")]) == ([], [("guest", ["guest"])])

    async def test_events_reach_subscribers_in_kept_and_in_new_plugins(self, served):
        heard: list[str] = []

        class Listening(Plugin[PluginSettings]):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                async def hear(event: Event) -> None:
                    heard.append(f"{self.name} {event.type}")

                self.bus = services[EventBus]
                with self.bus.subscribe("news", hear):
                    yield

        reloading = await served({"old": Listening, "new": Listening}, "{old: on}")
        await reloading.reload("{old: on, new: on}")
        await reloading.plugin("new").bus.publish(Event("news", "first"))
        await reloading.reload("{new: on}")
        await reloading.retired()
        await reloading.plugin("new").bus.publish(Event("news", "second"))

        assert heard == ["old first", "new first", "new second"]

    async def test_a_plugin_that_ended_by_itself_is_started_again(self, served):
        leave = asyncio.Event()

        class Leaving(Plugin[PluginSettings]):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.fail())
                    yield

            async def fail(self):
                await leave.wait()
                raise RuntimeError("on purpose")

        reloading = await served({"leaving": Leaving})
        leave.set()
        await until(lambda: not reloading.generation.running["leaving"].is_up)
        leave.clear()

        assert await reloading.reload() == {"leaving": "restarted"}

    async def test_what_asked_whether_this_is_debugging_restarts_when_that_changes(self, served):
        async def started(self: Any, services: Any) -> None:
            self.debugs = services[HostStatus].debug

        reloading = await served({"curious": recording([], started=started), "other": recording([])})
        reloading.write("{curious: on, other: on}", app={"debug": True})

        assert await reloading.reload() == {"curious": "restarted", "other": "kept"}
        assert reloading.plugin("curious").debugs

    async def test_routes_that_were_built_are_taken_again(self, served):
        class Static(Plugin[PluginSettings]):
            def __init__(self, name: str, settings: PluginSettings) -> None:
                super().__init__(name, settings)
                self.router = APIRouter()
                self.router.add_api_route("/static", lambda: 1)

            @hookimpl
            def register_routes(self):
                return [Routes(self.router)]

        def built() -> Any:
            return next(entry.app for entry in reloading.generation.assembly.index.routes if entry.plugin == "kept")

        reloading = await served({"kept": Static, "other": recording([])})
        first = built()
        await reloading.reload("{kept: on, other: {size: 2}}")

        assert built() is first
        assert await reloading.status("/api/v1/static") == 200

    async def test_a_changed_prefix_moves_the_routes_of_a_kept_plugin(self, served):
        reloading = await served({"slow": slow_plugin()})

        assert await reloading.reload("{slow: {prefix: /moved}}") == {"slow": "kept"}
        assert [await reloading.status("/quick"), await reloading.status("/moved/quick")] == [404, 200]


class Spare(Pool):
    """Another service."""


async def test_a_request_finds_the_services_of_its_generation(served):
    class Asking(Plugin[PluginSettings]):
        @hookimpl
        def register_routes(self):
            router = APIRouter()
            router.add_api_route("/who", self.who)
            return [Routes(router, version=None)]

        async def who(self, pool: Annotated[Pool, Depends(service(Pool))]) -> str:
            return type(pool).__name__

    async def started(self: Any, services: Any) -> Pool:
        return Pool() if self.settings.size == 1 else Spare()

    reloading = await served({"asking": Asking, "pool": recording([], started=started)})
    first = await reloading.get("/who").answer()
    await reloading.reload("{asking: on, pool: {size: 2}}")

    assert [first, await reloading.get("/who").answer()] == [(200, b'"Pool"'), (200, b'"Spare"')]
