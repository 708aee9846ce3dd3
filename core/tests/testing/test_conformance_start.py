"""The suite finds what a plugin opens too early, leaves behind, or does not clean up."""

import asyncio
import os
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from core.tests.testing.subjects import Subject, check, complaint

from powerstrip import (
    BackgroundTask,
    hookimpl,
)


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
