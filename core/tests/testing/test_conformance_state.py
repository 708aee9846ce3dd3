"""The suite finds state that two applications would share. It lives in this module, which the suite looks into."""

from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, Depends

from powerstrip import Plugin, PluginSettings, Routes, ServiceUnavailable, hookimpl, public
from powerstrip.testing import PluginConformance

calls = []
names = {"seen": {"inside": set()}}
current = None


class Counter:
    def __init__(self):
        self.count = 0


counter = Counter()
registry = {"counter": Counter()}
ring = Counter()
ring.ring = ring


class Stateful(Plugin[PluginSettings]):
    """Keeps its state in a module or a class; what it does with it comes from the subclasses."""

    started = ()

    def remember(self):
        """What a request does."""

    def begin(self):
        """What a start does."""

    def end(self):
        """What a stop does."""

    @hookimpl
    def register_routes(self):
        router = APIRouter(tags=["subject"], dependencies=[Depends(public)])

        @router.get("/subject")
        async def ask() -> None:
            self.remember()

        return [Routes(router)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        self.begin()
        yield
        self.end()


class GrowsList(Stateful):
    def remember(self):
        calls.append(len(calls))


class ChangesDeepInside(Stateful):
    def remember(self):
        names["seen"]["inside"].add(len(names["seen"]["inside"]))


class ReplacesGlobal(Stateful):
    def begin(self):
        global current  # noqa: PLW0603 - what a plugin must not do
        current = self


class CountsOnObject(Stateful):
    def remember(self):
        counter.count += 1


class CountsInsideContainer(Stateful):
    def remember(self):
        registry["counter"].count += 1


class CountsInRing(Stateful):
    def remember(self):
        ring.ring.count += 1


class CountsOnClass(Stateful):
    def begin(self):
        CountsOnClass.started = (*CountsOnClass.started, self.name)


class OneAtATime(Stateful):
    """Answers from what the last start has set and the first stop takes away."""

    running = 0

    def begin(self):
        OneAtATime.running = 1

    def end(self):
        OneAtATime.running = 0

    def remember(self):
        if not OneAtATime.running:
            raise ServiceUnavailable


class OtherEachTime(Stateful):
    """Each build brings another route."""

    built = 0

    @hookimpl
    def register_routes(self):
        OtherEachTime.built += 1
        router = APIRouter(dependencies=[Depends(public)])
        router.get(f"/subject/{OtherEachTime.built}")(self.remember)
        return [Routes(router)]


def complaint(plugin_class, rule, folder) -> str:
    suite = type("TestSubject", (PluginConformance,), {"plugin": "subject", "extra": {"subject": plugin_class}})()
    with pytest.raises(AssertionError) as failure:
        getattr(suite, f"test_{rule}")(folder)
    return str(failure.value)


@pytest.mark.parametrize(
    ("plugin_class", "name"),
    [
        (GrowsList, "calls"),
        (ChangesDeepInside, "names"),
        (ReplacesGlobal, "current"),
        (CountsOnObject, "counter"),
        (CountsInsideContainer, "registry"),
        (CountsInRing, "ring"),
        (CountsOnClass, "CountsOnClass.started"),
    ],
)
def test_state_of_modules_and_classes_is_named(plugin_class, name, tmp_path):
    told = complaint(plugin_class, "it_keeps_no_state_in_its_modules", tmp_path)

    assert f"{__name__}.{name} changed while the plugin served" in told


def test_two_applications_that_disturb_each_other_are_found(tmp_path):
    told = complaint(OneAtATime, "two_applications_live_side_by_side", tmp_path)

    assert "two applications in one process disturb each other" in told
    assert "{'/api/v1/subject': 503}" in told


def test_a_build_that_depends_on_earlier_builds_is_found(tmp_path):
    told = complaint(OtherEachTime, "the_order_of_the_config_does_not_matter", tmp_path)

    assert "another build gives other routes and OpenAPI" in told
