"""Exactly what has started is stopped, in reverse, whatever happens in between."""

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import Any

import pytest

from powerstrip import (
    BackgroundTask,
    Event,
    EventBus,
    HostStatus,
    Middleware,
    Plugin,
    PluginSettings,
    ServiceNotFoundError,
    StartError,
    hookimpl,
)
from powerstrip.host.generation import Generation


class Steps(list[str]):
    """What the plugins of one test did, in order."""


def plugin_of(steps: Steps, name: str, /, **attributes: Any) -> type[Plugin[PluginSettings]]:
    """A plugin that writes its steps down; `start`, `stop` and `tasks` say what else it does."""
    start = attributes.pop("start", None)
    stop = attributes.pop("stop", None)
    tasks = attributes.pop("tasks", ())

    class Stepping(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            if start:
                await start(services)
            steps.append(f"+{name}")
            try:
                yield
            finally:
                steps.append(f"-{name}")
                if stop:
                    await stop(services)

        @hookimpl
        def register_tasks(self):
            return list(tasks)

    return type(name.title(), (Stepping,), attributes)


async def fail(_services: Any = None) -> None:
    raise RuntimeError("on purpose")


async def hang(_services: Any = None) -> None:
    await asyncio.Event().wait()


async def hang_and_ignore_cancellation(_services: Any = None) -> None:
    for _ in range(3):
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            continue


def chain(steps: Steps, **second: Any) -> dict[str, Any]:
    """Three plugins, each requiring the one before; `second` configures the middle one."""
    return {
        "one": plugin_of(steps, "one"),
        "two": plugin_of(steps, "two", requires=("one",), **second),
        "three": plugin_of(steps, "three", requires=("two",)),
    }


FAST = "server: {start_timeout: 0.2, stop_timeout: 0.2}\n"
ALL_ON = FAST + "plugins: {one: on, two: on, three: on}\n"
TWO_SKIPS = FAST + "plugins:\n  one: on\n  two: {on_failure: skip}\n  three: on\n"


@pytest.fixture
def no_task_leaks():
    """Fails when a test leaves a task of a plugin behind."""

    async def check() -> None:
        left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("powerstrip:")]
        assert left == []

    return check


async def test_plugins_start_after_what_they_require_and_stop_before_it(compose_plugins, no_task_leaks):
    steps = Steps()
    generation = Generation(1, compose_plugins(chain(steps), ALL_ON))

    await generation.start()
    await generation.stop()

    assert steps == ["+one", "+two", "+three", "-three", "-two", "-one"]
    await no_task_leaks()


@pytest.mark.parametrize("start", [fail, hang])
async def test_a_failed_start_stops_exactly_what_had_started_and_names_the_plugin(
    compose_plugins, no_task_leaks, start
):
    steps = Steps()
    generation = Generation(1, compose_plugins(chain(steps, start=start), ALL_ON))

    with pytest.raises(StartError, match="plugin 'two' failed at start") as caught:
        await generation.start()

    assert caught.value.plugin == "two"
    assert steps == ["+one", "-one"]
    await no_task_leaks()


async def test_a_start_that_times_out_by_itself_is_not_called_our_time_limit(compose_plugins):
    async def time_out(_services):
        raise TimeoutError("its own")

    generation = Generation(1, compose_plugins(chain(Steps(), start=time_out), ALL_ON))

    with pytest.raises(StartError, match="its own"):
        await generation.start()


async def test_a_cancelled_start_stops_exactly_what_had_started(compose_plugins, no_task_leaks):
    steps = Steps()
    reached = asyncio.Event()

    async def reach_and_hang(services):
        reached.set()
        await hang()

    generation = Generation(1, compose_plugins(chain(steps, start=reach_and_hang), ALL_ON.replace("0.2", "30")))
    starting = asyncio.create_task(generation.start())
    await reached.wait()

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert steps == ["+one", "-one"]
    await no_task_leaks()


@pytest.mark.parametrize("stop", [fail, hang, hang_and_ignore_cancellation])
async def test_a_failing_stop_is_logged_and_the_others_are_stopped_all_the_same(compose_plugins, stop, caplog):
    steps = Steps()
    generation = Generation(1, compose_plugins(chain(steps, stop=stop), ALL_ON))

    await generation.start()
    with caplog.at_level(logging.ERROR):
        await generation.stop()

    assert steps == ["+one", "+two", "+three", "-three", "-two", "-one"]
    assert [record.plugin for record in caplog.records if "failed to stop" in record.message] == ["two"]


async def test_stop_without_start_and_twice_is_fine(compose_plugins):
    steps = Steps()
    generation = Generation(1, compose_plugins(chain(steps), ALL_ON))

    await generation.stop()
    await generation.start()
    await generation.stop()
    await generation.stop()

    assert steps == ["+one", "+two", "+three", "-three", "-two", "-one"]
    assert generation.step == "stopped"


@pytest.mark.parametrize("start", [fail, hang])
async def test_a_plugin_that_may_be_skipped_takes_its_dependants_along_and_the_rest_serves(
    compose_plugins, no_task_leaks, start
):
    steps = Steps()
    generation = Generation(1, compose_plugins(chain(steps, start=start), TWO_SKIPS))

    await generation.start()

    assert steps == ["+one"]
    assert sorted(generation.unavailable) == ["three", "two"]
    assert "requires 'two'" in generation.unavailable["three"]
    await generation.stop()
    assert steps == ["+one", "-one"]
    await no_task_leaks()


async def test_the_context_of_a_lifespan_is_entered_and_left_in_one_task(compose_plugins):
    tasks = []

    class Tasked(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            async with asyncio.TaskGroup() as group:  # refuses to be left in another task
                tasks.append(asyncio.current_task())
                child = group.create_task(hang())
                yield
                tasks.append(asyncio.current_task())
                child.cancel()

    generation = Generation(1, compose_plugins({"tasked": Tasked}))
    await generation.start()
    await generation.stop()

    assert tasks[0] is tasks[1]


async def test_services_are_found_by_their_class_and_its_bases(compose_plugins):
    class Lamp:
        pass

    class Torch(Lamp):
        pass

    seen = []

    class Provider(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            yield Torch(), {"a": "dict"}

    class Consumer(Plugin[PluginSettings]):
        requires = ("provider",)

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            seen.extend(
                [services[Torch], services[Lamp], services[dict], services.get(list), services[HostStatus].step]
            )
            with pytest.raises(ServiceNotFoundError, match=r"no running plugin provides a builtins\.list"):
                services[list]
            yield

    generation = Generation(1, compose_plugins({"provider": Provider, "consumer": Consumer}))
    await generation.start()
    await generation.stop()

    assert seen[0] is seen[1]
    assert seen[2:] == [{"a": "dict"}, None, "starting"]


async def test_a_service_that_two_plugins_provide_is_ambiguous_and_both_are_named(compose_plugins):
    class Lamp:
        pass

    class Provider(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            yield Lamp()

    generation = Generation(1, compose_plugins({"left": Provider, "right": Provider}))
    await generation.start()
    try:
        with pytest.raises(ServiceNotFoundError, match="'left' and 'right'"):
            generation.assembly.index.services.get(Lamp)
    finally:
        await generation.stop()


async def test_background_tasks_run_after_their_plugin_and_are_cancelled_before_it(compose_plugins, no_task_leaks):
    steps = Steps()
    running = asyncio.Event()

    async def work(services):
        steps.append("work")
        running.set()
        try:
            await hang()
        finally:
            steps.append("cancelled")

    classes = {"one": plugin_of(steps, "one", tasks=[BackgroundTask("work", work)])}
    generation = Generation(1, compose_plugins(classes))
    await generation.start()
    await running.wait()
    await generation.stop()

    assert steps == ["+one", "work", "cancelled", "-one"]
    await no_task_leaks()


async def test_a_crashed_background_task_is_logged_with_its_owner_and_run_again(compose_plugins, caplog):
    again = asyncio.Event()
    runs = []

    async def work(services):
        runs.append(1)
        if len(runs) == 1:
            raise RuntimeError("crash")
        again.set()

    classes = {"one": plugin_of(Steps(), "one", tasks=[BackgroundTask("work", work)])}
    generation = Generation(1, compose_plugins(classes))
    with caplog.at_level(logging.ERROR):
        await generation.start()
        async with asyncio.timeout(10):
            await again.wait()
        await generation.stop()

    (record,) = caplog.records
    assert (record.plugin, record.task) == ("one", "work")


async def test_events_reach_their_subscribers_and_a_failing_one_harms_nobody(compose_plugins, caplog):
    received = []

    async def note(event):
        received.append(event.type)

    class Listening(Plugin[PluginSettings]):
        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            bus = services[EventBus]
            with bus.subscribe("user.*", fail), bus.subscribe("user.*", note):
                await bus.publish(Event("user.1", "created"))
                await bus.publish(Event("order.1", "placed"))
            await bus.publish(Event("user.2", "created late"))
            yield

    generation = Generation(1, compose_plugins({"listening": Listening}))
    with caplog.at_level(logging.ERROR):
        await generation.start()
        await generation.stop()

    assert received == ["created"]
    assert len(caplog.records) == 1


def test_an_application_can_be_started_again(start_plugins):
    steps = Steps()
    starting = start_plugins({"one": plugin_of(steps, "one")})

    with starting:
        pass
    with starting:
        pass

    assert steps == ["+one", "-one"] * 2


def test_a_failed_start_is_told_to_whoever_runs_the_application(start_plugins):
    class Passing:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    class Layered(Plugin[PluginSettings]):
        @hookimpl
        def register_middleware(self):
            return [Middleware(Passing)]

    with (
        pytest.raises(StartError, match="on purpose"),
        start_plugins({"layered": Layered, "failing": plugin_of(Steps(), "failing", start=fail)}),
    ):
        raise AssertionError("it started")
