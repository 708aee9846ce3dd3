"""A reload starts what changed beside what serves, swaps one reference, and lets the rest go when nobody needs it."""

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from typing import Annotated, Any

import pytest
import yaml
from fastapi import APIRouter, Depends, Query, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import create_model

from powerstrip import (
    BackgroundTask,
    CompositionError,
    Event,
    EventBus,
    FindingsError,
    HealthCheck,
    HookCalls,
    HostStatus,
    Plugin,
    PluginSettings,
    Routes,
    StartError,
    hookimpl,
    hookspec,
    public,
    require,
    service,
)
from powerstrip.host.supervisor import Supervisor
from powerstrip.testing import Reloading
from powerstrip.testing.installed import discovery_with

pytestmark = pytest.mark.anyio


class Served(Reloading):
    """Plugins of a test, whose config is written as YAML."""

    async def reload(self, plugins: Any = None) -> dict[str, str]:
        return await super().reload(read(plugins))

    def write(self, plugins: Any, **sections: Any) -> None:
        super().write(read(plugins), **sections)


def read(plugins: Any) -> Any:
    return yaml.safe_load(plugins) if isinstance(plugins, str) else plugins


@pytest.fixture
async def served(powerstrip_config) -> AsyncGenerator[Any]:
    """Serve plugin classes: `await served({"one": One}, "{one: on}")`."""
    made: list[Served] = []

    async def do(classes: dict[str, Any], plugins: str | None = None, **server: float) -> Served:
        server = {"drain_timeout": 0.2, "start_timeout": 5, "stop_timeout": 1} | server
        sections = read(plugins) if plugins else dict.fromkeys(classes, True)
        reloading = Served(powerstrip_config, sections, classes, server=server)
        await reloading.supervisor.reload()
        made.append(reloading)
        return reloading

    yield do
    for reloading in made:
        await reloading.supervisor.close()


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


class TestCalls:
    async def test_a_request_ends_on_the_generation_that_it_began_on_and_its_plugin_stops_after_it(self, served):
        reloading = await served({"slow": slow_plugin()}, drain_timeout=20)
        old = reloading.plugin("slow")
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{slow: {size: 2}}")

        assert not old.stopped
        assert (await reloading.get("/quick").answer())[1] == b"2"
        old.go.set()
        assert await call.answer() == (200, b"1")
        await reloading.retired()
        assert old.stopped

    async def test_a_websocket_of_a_kept_plugin_lives_on_and_does_not_hold_those_that_stop(self, served):
        steps: list[str] = []
        reloading = await served({"slow": slow_plugin(), "other": recording(steps)}, drain_timeout=3600)
        socket = reloading.connect("/socket")
        await socket.until("websocket.accept")

        for size in range(2, 12):
            await reloading.reload(f"{{slow: on, other: {{size: {size}}}}}")
        await reloading.retired()
        socket.put("still there")
        await socket.until("websocket.send")

        assert socket.texts == ["1 still there"]
        assert steps.count("-other") == 10

    async def test_a_websocket_of_a_plugin_that_stops_is_closed_with_1012_after_the_drain_timeout(self, served):
        reloading = await served({"slow": slow_plugin(), "other": recording([])})
        slow = reloading.plugin("slow")
        socket = reloading.connect("/socket")
        await socket.until("websocket.accept")
        await reloading.reload("{slow: on}")
        await reloading.reload("{}")
        await reloading.retired()

        assert (await socket.until("websocket.close"))["code"] == 1012
        await asyncio.wait_for(socket.task, 20)
        assert slow.stopped

    async def test_an_event_stream_of_a_plugin_that_stops_ends_whole(self, served):
        reloading = await served({"slow": slow_plugin()})
        stream = reloading.get("/events")
        await stream.until("http.response.body")
        await reloading.reload("{}")

        assert await stream.answer() == (200, b"first")
        assert stream.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    async def test_a_download_that_is_cut_off_does_not_look_whole(self, served):
        reloading = await served({"slow": slow_plugin()})
        download = reloading.get("/download")
        await download.until("http.response.body")
        await reloading.reload("{}")
        await download.answer()

        assert download.sent[-1]["more_body"]

    async def test_a_request_that_takes_longer_than_the_drain_timeout_is_answered_503(self, served):
        reloading = await served({"slow": slow_plugin()})
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{}")

        status, body = await call.answer()

        assert status == 503
        assert b"PluginUnavailable" in body

    async def test_a_request_of_a_kept_plugin_is_never_cut_off(self, served):
        reloading = await served({"slow": slow_plugin(), "other": recording([])})
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{slow: on, other: {size: 2}}")
        await reloading.retired()
        reloading.plugin("slow").go.set()

        assert await call.answer() == (200, b"1")

    async def test_routes_come_and_go_with_their_plugin(self, served):
        reloading = await served({"slow": slow_plugin()}, "{}")
        before = await reloading.status("/quick")
        await reloading.reload("{slow: on}")
        with_it = await reloading.status("/quick")
        await reloading.reload("{slow: off}")

        assert [before, with_it, await reloading.status("/quick")] == [404, 200, 404]


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


STEPS = ["compose", "build", "start", "start in time", "probe", "probe in time"]


class TestFailures:
    @pytest.mark.parametrize("step", STEPS)
    async def test_whatever_step_fails_the_generation_before_goes_on_and_what_had_started_stops(self, served, step):
        steps: list[str] = []
        classes = {"first": recording(steps), "second": failing(), "slow": slow_plugin()}
        reloading = await served(classes, "{first: on, slow: on}", start_timeout=0.5)
        before = reloading.generation
        tasks = len(asyncio.all_tasks())
        reloading.write(f"{{first: {{size: 2}}, slow: on, second: {{fails: {step}}}}}")

        with pytest.raises((FindingsError, StartError), match="second"):
            await reloading.supervisor.reload()

        assert reloading.generation is before
        assert await reloading.status("/quick") == 200
        assert steps in (["+first"], ["+first", "+first", "-first"])
        assert len(asyncio.all_tasks()) == tasks
        outcome = reloading.supervisor.last_reload
        assert (outcome.succeeded, outcome.generation) == (False, 1)
        assert "second" in outcome.reason

    async def test_a_plugin_that_hangs_while_it_is_built_is_given_up_until_it_hangs_no_more(self, served):
        hangs, go_on = threading.Event(), threading.Event()

        class Hanging(Plugin[PluginSettings]):
            @hookimpl
            def register_routes(self):
                hangs.set()
                go_on.wait(20)
                return []

        reloading = await served({"hanging": Hanging, "slow": slow_plugin()}, "{slow: on}", start_timeout=0.2)
        with pytest.raises(StartError, match="'hanging' failed at build"):
            await reloading.reload("{slow: on, hanging: on}")
        with pytest.raises(StartError, match="hangs since it was built the last time"):
            await reloading.reload("{slow: on}")

        assert hangs.is_set()
        assert await reloading.status("/quick") == 200
        go_on.set()
        await until(lambda: not any(thread.name == "powerstrip:build" for thread in threading.enumerate()))
        assert await reloading.reload("{slow: on, hanging: on}") == {"slow": "kept", "hanging": "added"}

    async def test_a_file_that_can_not_be_read_changes_nothing(self, served):
        reloading = await served({"slow": slow_plugin()})
        reloading.path.write_text("plugins: [")

        with pytest.raises(FindingsError):
            await reloading.supervisor.reload()

        assert await reloading.status("/quick") == 200
        reloading.write("{slow: {size: 2}}")
        await reloading.supervisor.reload()
        assert reloading.supervisor.last_reload.succeeded

    async def test_a_plugin_that_may_be_skipped_and_fails_is_served_without(self, served):
        reloading = await served({"second": failing(), "slow": slow_plugin()}, "{slow: on}")
        await reloading.reload("{slow: on, second: {fails: start, on_failure: skip}}")

        assert [*reloading.generation.unavailable] == ["second"]
        assert await reloading.reload("{slow: on, second: {on_failure: skip}}") == {"slow": "kept", "second": "added"}

    async def test_a_kept_plugin_restarts_without_a_neighbour_that_can_not_be_built_any_more(self, served):
        class Fragile(failing()):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services):
                yield Pool()

        classes = {"fragile": Fragile, "user": user_of([], Pool, wants=("fragile",))}
        reloading = await served(classes)
        assert reloading.plugin("user").found is not None

        await reloading.reload("{fragile: {fails: build, on_failure: skip}, user: on}")

        assert reloading.plugin("user").found is None

    async def test_a_name_that_is_not_installed_is_refused(self, served):
        reloading = await served({"slow": slow_plugin()})

        with pytest.raises(CompositionError, match="not installed"):
            await reloading.reload("{slow: on, nobody: on}")

    async def test_two_reloads_at_once_happen_one_after_the_other(self, served):
        steps: list[str] = []
        reloading = await served({"one": recording(steps)})
        reloading.write("{one: {size: 2}}")

        first, second = await asyncio.gather(reloading.supervisor.reload(), reloading.supervisor.reload())

        assert (first.generation, second.generation) == (2, 3)
        await reloading.retired()
        assert steps == ["+one", "+one", "-one"]

    async def test_a_stop_in_the_middle_of_a_reload_stops_both_generations(self, served):
        steps: list[str] = []
        reloading = await served({"one": recording(steps), "second": failing()}, "{one: on}")
        reloading.write("{one: {size: 2}, second: {fails: start in time}}")
        reload = asyncio.create_task(reloading.supervisor.reload())
        await until(lambda: steps == ["+one", "+one"])

        await reloading.supervisor.close()

        assert steps == ["+one", "+one", "-one", "-one"]
        assert reload.cancelled()

    async def test_a_prepared_generation_that_is_abandoned_leaves_nothing(self, served):
        steps: list[str] = []
        reloading = await served({"one": recording(steps)})
        reloading.write("{one: {size: 2}}")
        prepared = await reloading.supervisor.prepare()
        await reloading.supervisor.abandon(prepared, "others were not ready")

        assert steps == ["+one", "+one", "-one"]
        assert reloading.supervisor.last_reload.reason == "others were not ready"
        assert await reloading.reload() == {"one": "restarted"}


class TestPlans:
    async def test_a_plan_says_what_would_happen_and_does_nothing(self, served):
        steps: list[str] = []
        classes = {
            "gone": recording(steps),
            "kept": recording(steps),
            "changed": recording(steps),
            "slow": slow_plugin(),
        }
        reloading = await served(classes, "{gone: on, kept: on, changed: on}")
        reloading.write("{kept: on, changed: {size: 2}, slow: on}", server={"port": 9000})
        plan = (await reloading.supervisor.plan()).to_dict()

        assert steps == ["+changed", "+gone", "+kept"]
        assert {entry["plugin"]: (entry["change"], entry["reason"]) for entry in plan["plugins"]} == {
            "changed": ("restarted", "changed: size"),
            "gone": ("removed", "switched off"),
            "kept": ("kept", "nothing changed"),
            "slow": ("added", "switched on"),
        }
        assert "GET /quick" in plan["routes_gained"]
        assert plan["restart_needed"] == ["server.port"]
        assert reloading.generation.generation == 1

    async def test_a_plan_tells_what_changes_in_operations_and_schemas_that_stay(self, served):
        class Changing(Plugin[Size]):
            @hookimpl
            def register_routes(self):
                size = self.settings.size
                fields = {"name": (str, ...), **({"old": (int, 1)} if size == 1 else {"new": (int, ...)})}
                thing = create_model("Thing", **fields)
                router = APIRouter()

                @router.get("/things")
                async def things(limit: Annotated[int, Query(le=size * 100)] = 10) -> list[thing]:
                    return []

                @router.post("/things")
                async def add(body: thing) -> None:
                    pass

                router.add_api_route("/same", lambda: 1, methods=["GET"])
                dependencies = [Depends(public)] if size == 1 else [Depends(require(permission="things:delete"))]
                router.add_api_route("/things", lambda: 1, methods=["DELETE"], dependencies=dependencies)
                return [Routes(router)]

        reloading = await served({"changing": Changing, "kept": slow_plugin()})
        reloading.write("{changing: {size: 2}, kept: on}")
        plan = (await reloading.supervisor.plan()).to_dict()

        assert plan["api_changed"] == [
            "GET /api/v1/things: parameters",
            "DELETE /api/v1/things: responses, access",
            "schema Thing: gains new; loses old; requires new",
        ]
        assert plan["routes_changed"] == ["DELETE /api/v1/things"]
        assert (await reloading.supervisor.prepare()).plan.to_dict()["api_changed"] is None

    async def test_a_plan_foresees_what_looked_in_vain_for_a_service_that_a_newcomer_says_it_provides(self, served):
        class Stating(Plugin[PluginSettings]):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services: Any) -> AsyncGenerator[tuple[Pool, None]]:
                yield Pool(), None

        classes = {"pool": Stating, "user": user_of([], Pool, wants=("pool",)), "other": user_of([], dict)}
        reloading = await served(classes, "{user: on, other: on}")
        reloading.write("{pool: on, user: on, other: on}")
        planned = {change.plugin: change.kind for change in (await reloading.supervisor.plan()).changes}

        assert planned == {"pool": "added", "user": "restarted", "other": "kept"}
        assert await reloading.reload() == planned

    async def test_a_plan_says_on_what_it_depends_where_a_newcomer_leaves_open_what_it_provides(self, served):
        classes = {"pool": provider([]), "user": user_of([], Pool, wants=("pool",)), "other": user_of([], dict)}
        reloading = await served(classes, "{user: on, other: on}")
        reloading.write("{pool: on, user: on, other: on}")
        reasons = {change.plugin: change.reason for change in (await reloading.supervisor.plan()).changes}

        assert reasons["user"] == "nothing changed; restarts if 'pool' provides what it looked for in vain"
        assert reasons["other"] == "nothing changed"
        assert (await reloading.reload())["user"] == "restarted"


async def retired(reloading: Reloading) -> None:
    """Wait until nothing is left to stop, and the threads that have built let go of what they have built."""
    await reloading.retired()
    await until(lambda: not any(thread.name == "powerstrip:build" for thread in threading.enumerate()))
    gc.collect()


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


class Spare(Pool):
    """Another service."""


async def test_what_is_wrong_and_yet_served_is_logged_with_what_to_do(served, caplog):
    class Bell(Plugin[PluginSettings]):
        shared_through = ("wire",)

    await served({"bell": Bell}, workers=2)

    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.message.startswith("plugin 'bell' works for each process by itself")
    assert record.hint == "switch 'wire' on, through which processes share it"


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
