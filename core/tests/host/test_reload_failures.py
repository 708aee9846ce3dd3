"""A reload that fails, at whatever step, leaves the generation that serves as it was."""

import asyncio
import sys
import threading
from contextlib import asynccontextmanager

import pytest
from core.tests.host.reloaded import Pool, failing, recording, slow_plugin, until, user_of

from powerstrip import (
    CompositionError,
    FindingsError,
    Plugin,
    PluginSettings,
    StartError,
    hookimpl,
)
from powerstrip.host.supervisor import Supervisor

pytestmark = pytest.mark.anyio


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

    async def test_an_import_that_fails_at_the_first_start_is_told_as_it_failed_the_first_time(
        self, powerstrip_config, tmp_path, monkeypatch, write_distribution
    ):
        source = "from lamp_tables import tables\nassert not tables, 'made twice'\ntables.append(1)\nundefined"
        modules = {"lamp_tables": "tables = []", "lamp_plugin": source}
        write_distribution(tmp_path / "lib", "powerstrip-lamp", modules, {"lamp": "lamp_plugin:Lamp"})
        monkeypatch.syspath_prepend(tmp_path / "lib")

        with pytest.raises(CompositionError, match="name 'undefined' is not defined"):
            await Supervisor([powerstrip_config({"lamp": True})], environ={}).reload()
        sys.modules.pop("lamp_tables")

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


async def test_what_is_wrong_and_yet_served_is_logged_with_what_to_do(served, caplog):
    class Bell(Plugin[PluginSettings]):
        shared_through = ("wire",)

    await served({"bell": Bell}, workers=2)

    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.message.startswith("plugin 'bell' works for each process by itself")
    assert record.hint == "switch 'wire' on, through which processes share it"
