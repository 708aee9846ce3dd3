"""The suite fails the plugins that it is made to fail, and says what to do about it."""

import asyncio
import os
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, field_validator

from powerstrip import (
    BackgroundTask,
    HealthCheck,
    InternalServerError,
    Plugin,
    PluginSettings,
    Routes,
    hookimpl,
    public,
)
from powerstrip.testing import PluginConformance

CLEAN = [name for name in dir(PluginConformance) if name.startswith("test_")]


def check(plugin_class, rule, folder, **attributes):
    """Put a plugin class through one test of the suite."""
    suite = type("TestSubject", (PluginConformance,), {"plugin": "subject", "extra": {"subject": plugin_class}})()
    vars(suite).update(attributes)
    getattr(suite, f"test_{rule}")(folder)


def complaint(plugin_class, rule, folder, **attributes) -> str:
    """What the suite has against it."""
    with pytest.raises(AssertionError) as failure:
        check(plugin_class, rule, folder, **attributes)
    return str(failure.value)


def routes_of(*endpoints, **options):
    router = APIRouter(tags=["subject"], **options)
    for number, endpoint in enumerate(endpoints):
        router.get(f"/subject/{number}")(endpoint)
    return [Routes(router)]


async def hello() -> str:
    """Say hello."""
    return "hello"


class Subject(Plugin[PluginSettings]):
    """Does nothing wrong. The subjects below each do one thing wrong."""

    @hookimpl
    def register_routes(self):
        return routes_of(hello, dependencies=[Depends(public)])


INSTALLED_ONLY = {"its_metadata_says_what_its_class_provides", "it_leaves_nothing_behind_when_it_is_off"}


@pytest.mark.parametrize("rule", sorted({name.removeprefix("test_") for name in CLEAN} - INSTALLED_ONLY))
def test_a_plugin_without_faults_passes(rule, tmp_path):
    check(Subject, rule, tmp_path)


def test_a_plugin_that_is_not_installed_is_told_how_to_be(tmp_path):
    told = complaint(Subject, "it_starts_and_stops_clean", tmp_path, plugin="absent")

    assert "no installed plugin is named 'absent'" in told
    assert "pip install --editable" in told


def test_settings_of_the_suite_that_do_not_fit_are_shown_as_findings(tmp_path):
    told = complaint(Subject, "it_starts_and_stops_clean", tmp_path, settings={"speed": 1})

    assert "`settings`" in told
    assert "unknown key 'speed'" in told


# Explanations and settings


class Silent(Subject):
    __doc__ = None


def test_a_class_must_have_a_docstring(tmp_path):
    assert "Silent has no docstring" in complaint(Silent, "it_explains_itself_and_its_settings", tmp_path)


class Nested(BaseModel):
    depth: int = 1


class UndocumentedSettings(PluginSettings):
    speed: int = 1
    nested: Nested = Nested()
    """Nested settings."""


class Undocumented(Subject, Plugin[UndocumentedSettings]):
    """Its settings are a riddle."""


def test_every_setting_must_have_a_description(tmp_path):
    told = complaint(Undocumented, "it_explains_itself_and_its_settings", tmp_path)

    assert "operators can't know what these settings mean: speed, Nested.depth." in told


class TolerantSettings(PluginSettings):
    model_config = ConfigDict(extra="ignore")


class Tolerant(Subject, Plugin[TolerantSettings]):
    """Overlooks mistyped keys."""


def test_unknown_settings_must_be_refused(tmp_path):
    assert "a mistyped key is accepted" in complaint(Tolerant, "it_refuses_a_setting_that_it_does_not_know", tmp_path)


class GreedySettings(PluginSettings):
    anything: dict[str, Any] | list[Any] | str | float = 1.0
    """Takes everything without saying so."""

    untyped: Any = None
    """Takes everything, and says so: fine."""


class Greedy(Subject, Plugin[GreedySettings]):
    """Takes what it gets."""


def test_a_setting_must_have_a_type(tmp_path):
    told = complaint(Greedy, "it_refuses_settings_of_wrong_types", tmp_path)

    assert "the setting 'anything' accepts an object, a list, a text and a negative number" in told


class FragileSettings(PluginSettings):
    name: str = "x"
    """Its validator takes text for granted."""

    @field_validator("name", mode="before")
    @classmethod
    def _stripped(cls, value):
        return value.strip()


class Fragile(Subject, Plugin[FragileSettings]):
    """Breaks when it is given a number."""


def test_a_validator_may_not_break_on_a_wrong_type(tmp_path):
    told = complaint(Fragile, "it_refuses_settings_of_wrong_types", tmp_path)

    assert "AttributeError" in told
    assert "let validators raise ValueError" in told


# Start and stop


@pytest.fixture(autouse=True)
def opened():
    """File descriptors that subjects have opened, closed after the test; sockets would complain of it themselves."""
    yield OpensFile.opened
    while OpensFile.opened:
        os.close(OpensFile.opened.pop())


class OpensFile(Subject):
    """Can open and close a file."""

    opened: ClassVar[list[int]] = []

    def open(self):
        self.opened.append(os.open(os.devnull, os.O_RDONLY))

    def close(self):
        os.close(self.opened.pop())


class OpensEarly(OpensFile):
    """Opens a file when it is made."""

    def __init__(self, name, settings):
        super().__init__(name, settings)
        self.open()

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        yield
        self.close()


def test_nothing_may_be_opened_while_the_application_is_built(tmp_path):
    assert "building the application leaves behind: open /dev/null" in complaint(
        OpensEarly, "it_is_built_without_opening_anything", tmp_path
    )


def test_a_plugin_must_survive_a_stop_without_a_start(tmp_path):
    assert "stopping without a start, and twice leaves behind" in complaint(
        OpensEarly, "it_can_be_stopped_without_a_start_and_twice", tmp_path
    )


class LeavesTask(Subject):
    """Starts a task and forgets it."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        self.task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
        yield


class LeavesThread(Subject):
    """Starts a thread that outlives it."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        threading.Thread(target=time.sleep, args=(10,), name="forgotten", daemon=True).start()
        yield


class LeavesFile(OpensFile):
    """Never closes what it opened."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        self.open()
        yield


class DropsSocket(Subject):
    """Lets the garbage collector close what it opened."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        self.listener = socket.create_server(("127.0.0.1", 0))
        yield
        del self.listener


class FailsToStop(Subject):
    """Stumbles at the end."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        yield
        raise RuntimeError("stumbled")


class CrashingTask(Subject):
    """Has a background task that crashes."""

    @hookimpl
    def register_tasks(self):
        return [BackgroundTask("crash", self.crash)]

    async def crash(self, services):
        raise RuntimeError("crashed")


class ForgetsToAwait(Subject):
    """Calls a coroutine and does not wait for it."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        asyncio.sleep(0)
        yield


@pytest.mark.parametrize(
    ("plugin_class", "told"),
    [
        (LeavesTask, "task 'forgotten' still running"),
        (LeavesThread, "leaves behind: thread 'forgotten'"),
        (LeavesFile, "leaves behind: open /dev/null"),
        (DropsSocket, "unclosed <socket.socket"),
        (FailsToStop, "'plugin failed to stop' of plugin 'subject' StopError"),
        (CrashingTask, "'background task crashed' of plugin 'subject' RuntimeError('crashed')"),
        (ForgetsToAwait, "was never awaited"),
    ],
)
def test_what_is_left_behind_by_a_stop_is_named(plugin_class, told, tmp_path):
    assert told in complaint(plugin_class, "it_starts_and_stops_clean", tmp_path)


class NoCleanUpWhenCancelled(OpensFile):
    """Closes its file at the end, but not when its start is cancelled on the way."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        self.open()
        for _ in range(5):
            await asyncio.sleep(0)
        yield
        self.close()


def test_a_start_that_is_not_cancelled_clean_is_found_at_any_await(tmp_path):
    check(NoCleanUpWhenCancelled, "it_starts_and_stops_clean", tmp_path)

    told = complaint(NoCleanUpWhenCancelled, "a_start_can_be_cancelled_at_any_step", tmp_path)

    assert "a start that is cancelled after" in told
    assert "leaves behind: open /dev/null" in told


class IgnoresCancellation(Subject):
    """Goes on when it is told to end."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        try:
            for _ in range(5):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.Event().wait()
        yield


def test_a_start_that_ignores_its_cancellation_is_named(tmp_path):
    told = complaint(IgnoresCancellation, "a_start_can_be_cancelled_at_any_step", tmp_path)

    assert "'plugin ignores its cancellation and is left behind' of plugin 'subject'" in told


class SlowNoCleanUp(OpensFile):
    """The same after many steps."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        for _ in range(400):
            await asyncio.sleep(0)
        self.open()
        for _ in range(300):
            await asyncio.sleep(0)
        yield
        self.close()


def test_the_late_steps_of_a_long_start_are_cancelled_too(tmp_path):
    told = complaint(SlowNoCleanUp, "a_start_can_be_cancelled_at_any_step", tmp_path)

    assert "cancelled after 512 steps" in told


# Serving


class Raises(Subject):
    """Lets an exception out."""

    @hookimpl
    def register_routes(self):
        async def fail() -> None:
            raise LookupError("let out")

        return routes_of(fail, dependencies=[Depends(public)])


class AnswersInternalError(Subject):
    """Means it."""

    @hookimpl
    def register_routes(self):
        async def fail() -> None:
            raise InternalServerError

        return routes_of(fail, dependencies=[Depends(public)])


class LeavesTaskPerRequest(Subject):
    """Starts a task for each request."""

    @hookimpl
    def register_routes(self):
        async def begin() -> None:
            self.task = asyncio.create_task(asyncio.Event().wait(), name="per request")

        return routes_of(begin, dependencies=[Depends(public)])


class NeverAnswers(Subject):
    """Keeps callers waiting."""

    @hookimpl
    def register_routes(self):
        async def wait() -> None:
            await asyncio.Event().wait()

        return routes_of(wait, dependencies=[Depends(public)])


@pytest.mark.parametrize(
    ("plugin_class", "told"),
    [
        (Raises, "LookupError('let out')"),
        (AnswersInternalError, "GET /api/v1/subject/0 answers 500"),
        (LeavesTaskPerRequest, "task 'per request' still running"),
    ],
)
def test_what_goes_wrong_while_serving_is_named(plugin_class, told, tmp_path):
    assert told in complaint(plugin_class, "it_serves_and_leaves_nothing_behind", tmp_path)


def test_a_route_that_does_not_answer_is_named(tmp_path):
    told = complaint(NeverAnswers, "it_serves_and_leaves_nothing_behind", tmp_path, answer_within=0.2)

    assert "GET /api/v1/subject/0 did not begin to answer" in told


def subject_with_check(check):
    class WithCheck(Subject):
        """Has a health check."""

        @hookimpl
        def register_health_checks(self):
            return [HealthCheck("pulse", check, timeout=0.1)]

    return WithCheck


async def hangs():
    await asyncio.Event().wait()


async def blocks():
    time.sleep(0.8)  # noqa: ASYNC251 - what a plugin must not do


async def no_mapping():
    return ["fine"]


async def no_json():
    return {"since": object()}


async def fails():
    raise ConnectionError("not there")


@pytest.mark.parametrize(
    ("check_function", "told"),
    [
        (hangs, "the health check 'pulse' takes 0."),
        (blocks, "the health check 'pulse' takes 0."),
        (no_mapping, "it takes a mapping of JSON values"),
        (no_json, "it takes a mapping of JSON values"),
    ],
)
def test_a_health_check_that_gives_no_answer_in_time_is_named(check_function, told, tmp_path):
    assert told in complaint(subject_with_check(check_function), "its_health_checks_answer_in_time", tmp_path)


def test_a_health_check_that_says_no_has_answered(tmp_path):
    check(subject_with_check(fails), "its_health_checks_answer_in_time", tmp_path)


# What the build shows


class Undeclared(Subject):
    """Does not say who may call it."""

    @hookimpl
    def register_routes(self):
        return routes_of(hello)


def test_a_route_that_does_not_say_who_may_call_it_is_named(tmp_path):
    told = complaint(Undeclared, "every_route_says_who_may_call_it", tmp_path)

    assert "nothing says who may call /api/v1/subject/0" in told
    assert "test_conformance.py:" in told


class SameOperationId(Subject):
    """Gives two operations one name."""

    @hookimpl
    def register_routes(self):
        router = APIRouter(dependencies=[Depends(public)])
        for path in ("/one", "/two"):
            router.get(path, operation_id="same")(hello)
        return [Routes(router)]


def subject_that_customises(change):
    class Customises(Subject):
        """Changes the document."""

        @hookimpl
        def customise_openapi(self, document):
            change(document, document["paths"]["/api/v1/subject/0"]["get"])

    return Customises


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_operations_of_one_name_are_found(tmp_path):
    told = complaint(SameOperationId, "its_openapi_is_valid", tmp_path)

    assert "2 operations have the operationId 'same'" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda document, get: get.update(requestBody={"$ref": "#/no/where"}), "#/no/where is referred to"),
        (lambda document, get: get.update(requestBody={"$ref": "https://x.example/a"}), "https://x.example/a is ref"),
        (lambda document, get: document.update(extra={1, 2}), "the document is no JSON"),
        (lambda document, get: get.pop("summary"), "GET /api/v1/subject/0 has no summary"),
        (lambda document, get: get["responses"]["200"].clear(), "does not describe its response 200"),
        (lambda document, get: get.update(security=[{"key": []}]), "asks for the security scheme 'key'"),
        (
            lambda document, get: get.update(parameters=[{"in": "path", "name": "id"}]),
            "states the path parameter 'id' only in its parameters",
        ),
        (lambda document, get: document["paths"].clear(), "takes the plugin's own operations out"),
    ],
)
def test_a_document_that_does_not_hold_together_is_told_where(change, told, tmp_path):
    assert told in complaint(subject_that_customises(change), "its_openapi_is_valid", tmp_path)
