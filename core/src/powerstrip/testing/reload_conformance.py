"""The part of the suite that takes a plugin through reloads."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from powerstrip.contract.errors import StartError
from powerstrip.contract.hooks import hookimpl
from powerstrip.contract.plugin import Plugin, PluginSettings
from powerstrip.testing.bench import Bench
from powerstrip.testing.leaks import run
from powerstrip.testing.reloading import Reloading

_FAILING = "zzz_failing"
_STAYS = ("kept", "reconfigured")
_LOOKS = 200


class ReloadConformance:
    """What `PluginConformance` asks of a plugin while the config changes.

    `changed_settings` are other valid settings; when not stated, the suite changes one that it can.
    """

    changed_settings: ClassVar[Mapping[str, Any] | None] = None

    def _bench(self, folder: Path) -> Bench:
        raise NotImplementedError

    def test_a_reload_keeps_it_when_nothing_changes(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def reload(served: Reloading) -> None:
            plugin, before = served.plugin(bench.plugin), await bench.statuses(served.generation, served.dispatcher)
            for _ in range(3):
                change = (await served.reload())[bench.plugin]
                assert change == "kept", (
                    f"it is {change} by a reload that changes nothing: {_reason(served, bench)}. Settings that are "
                    "read twice must be equal, and what it looks up when it starts must be there again."
                )
            assert served.plugin(bench.plugin) is plugin
            _assert_same(before, await bench.statuses(served.generation, served.dispatcher), "a reload that keeps it")

        _serve(bench, "reloads that change nothing", reload)

    def test_a_reload_gives_it_other_settings(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        other = self.changed_settings or next(_other_settings(bench), None)
        if other is None:  # it has no settings that could be changed
            return

        async def reload(served: Reloading) -> None:
            changed = await served.reload(bench.sections(other))
            assert changed[bench.plugin] in (*_STAYS[1:], "restarted"), f"other settings leave it {changed}"
            statuses = await bench.statuses(served.generation, served.dispatcher)
            failed = [path for path, status in statuses.items() if status >= 500 and status != 503]
            assert not failed, f"GET {failed[0]} answers {statuses[failed[0]]} after a change of settings to {other}"
            assert served.plugin(bench.plugin).settings == bench.plugin_class.settings_type.model_validate(other), (
                "after a reload `self.settings` are not those of the config: leave them to the host"
            )
            await served.reload(bench.sections())

        _serve(bench, f"a change of its settings to {other}", reload)

    def test_a_reload_that_fails_leaves_it_as_it_was(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        other = self.changed_settings or next(_other_settings(bench), self._bench(tmp_path).settings)

        async def fail(served: Reloading) -> None:
            plugin, before = served.plugin(bench.plugin), await bench.statuses(served.generation, served.dispatcher)
            settings = plugin.settings
            served.installed[_FAILING] = _Failing
            assert (culprit := await _culprit(served, {**bench.sections(other), _FAILING: True})) == _FAILING, (
                f"'{culprit}' can't be started beside itself: wait for what only one instance can have"
            )
            assert served.plugin(bench.plugin) is plugin
            assert plugin.settings == settings, "`reconfigure` changes settings before the swap"
            _assert_same(before, await bench.statuses(served.generation, served.dispatcher), "a reload that fails")

        _serve(bench, "a reload that fails after it was started again", fail, expecting="reload failed")

    def test_it_is_switched_off_and_on_while_serving(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def switch(served: Reloading) -> None:
            before = await bench.statuses(served.generation, served.dispatcher)
            gone = weakref.ref(served.plugin(bench.plugin))
            await served.reload(bench.beside)
            await served.retired()
            assert await _is_gone(gone), (
                "its object is still in memory after it was switched off: a module, a thread or a task holds on to it"
            )
            await served.reload(bench.sections())
            _assert_same(
                before, await bench.statuses(served.generation, served.dispatcher), "being switched off and on"
            )

        _serve(bench, "being switched off and on while serving", switch)


async def _is_gone(reference: "weakref.ref[object]") -> bool:
    """Whether an object goes. A thread that helped with a reload may hold on to its work until it is run again."""
    for _ in range(_LOOKS):
        gc.collect()
        if reference() is None:
            return True
        await asyncio.sleep(0.05)
    return False


class _Failing(Plugin[PluginSettings]):
    """Starts last, and fails."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: object) -> Any:  # noqa: ARG002 - it is a hook
        raise RuntimeError("on purpose")
        yield


def _serve(
    bench: Bench, what: str, scenario: Callable[[Reloading], Awaitable[None]], *, expecting: str | None = None
) -> None:
    """Run a scenario with the plugin served, and see to it that nothing is left behind."""
    assert bench.installed

    async def serve() -> None:
        served = bench.reloading()
        await served.supervisor.reload()
        try:
            await scenario(served)
            await served.retired()
        finally:
            await served.supervisor.close()

    run(what, serve, expecting=expecting)


async def _culprit(served: Reloading, plugins: Mapping[str, Any]) -> str | None:
    """The plugin that makes a reload fail."""
    try:
        await served.reload(plugins)
    except StartError as error:
        return error.plugin
    return None


def _other_settings(bench: Bench) -> Iterator[Mapping[str, Any]]:
    """Valid settings that differ from the suite's in one key."""
    model = bench.plugin_class.settings_type
    present = model.model_validate(dict(bench.settings))
    for key, schema in model.model_json_schema().get("properties", {}).items():
        for value in _neighbours(getattr(present, key, None), schema):
            other = {**bench.settings, key: value}
            if not bench.refusal(other):
                yield other


def _neighbours(value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2, value / 2)
    elif isinstance(value, str):
        yield from (choice for choice in schema.get("enum", ()) if choice != value)


def _assert_same(before: Mapping[str, int], after: Mapping[str, int], what: str) -> None:
    assert before == after, f"{what} changes what it answers: {before} before, {after} after"


def _reason(served: Reloading, bench: Bench) -> str:
    reasons = {change.plugin: change.reason for change in served.changes}
    return reasons.get(bench.plugin, "")
