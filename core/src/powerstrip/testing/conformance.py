"""The suite that every plugin passes.

    class TestGreeter(PluginConformance):
        plugin = "greeter"
        settings = {"language": "fr"}

What fails says what to do about it.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from itertools import islice, permutations
from pathlib import Path
from typing import Any, ClassVar

from powerstrip.contract.findings import Finding
from powerstrip.contract.health import HealthCheck
from powerstrip.contract.hooks import hookimpl
from powerstrip.contract.interceptors import Interceptor
from powerstrip.contract.plugin import Plugin, PluginSettings
from powerstrip.host.discovery import PROVIDES_GROUP, discover_plugins
from powerstrip.host.generation import Generation
from powerstrip.testing.bench import Bench
from powerstrip.testing.document import faults, operations
from powerstrip.testing.installed import PluginClasses
from powerstrip.testing.leaks import leaving_nothing, run
from powerstrip.testing.module_state import ModuleState, package_of
from powerstrip.testing.reload_conformance import ReloadConformance

# A start is cancelled after each of its first steps, and after ever more of the later ones.
_EACH_STEP_UNTIL = 16
_LAST_STEP = 4096
_ORDERS = 6
_GRACE = 0.5
_BACKGROUND_TASKS_BEGIN_WITHIN = 0.05
_OFF_LIMIT = 60.0
# Of each setting's type at least one of these is not.
_WRONG_VALUES: Sequence[Any] = (
    {"no_such_key": {"of": "the wrong type"}},
    [["of the wrong type"]],
    "\N{INTERROBANG} of the wrong type \N{INTERROBANG}",
    -1.5,
)


class PluginConformance(ReloadConformance):
    """Derive from it, name the plugin, and its tests run: `class TestGreeter(PluginConformance): plugin = "greeter"`.

    `settings` are valid settings of the plugin, `requires_config` the sections of the plugins that
    must be on beside it, `extra` plugin classes that stand in for some of them. `fake_identity` is
    always there to provide `identity`. `answer_within` is how many seconds a route may take;
    `changed_settings` are other valid settings, for where the suite can't change one itself.
    """

    plugin: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    requires_config: ClassVar[Mapping[str, Any]] = {}
    extra: ClassVar[PluginClasses] = {}
    answer_within: ClassVar[float] = 5.0

    def _bench(self, folder: Path) -> Bench:
        return Bench(folder, self.plugin, self.settings, self.requires_config, self.extra, self.answer_within)

    def test_its_metadata_says_what_its_class_provides(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        stated = {entry.name for entry in entry_points(group=PROVIDES_GROUP) if entry.value == bench.installed.value}
        provided = set(bench.plugin_class.provides)

        assert bench.installed.summary, "the distribution has no summary: give its pyproject.toml a `description`"
        assert stated == provided, (
            f"the class provides {sorted(provided)}, the metadata says {sorted(stated)}. For each capability the "
            f'pyproject.toml needs [project.entry-points."{PROVIDES_GROUP}"] CAPABILITY = "{bench.installed.value}", '
            "so that hosts can name the plugin to operators who miss the capability."
        )

    def test_it_explains_itself_and_its_settings(self, tmp_path: Path) -> None:
        plugin_class = self._bench(tmp_path).plugin_class
        silent = list(_undescribed(plugin_class.settings_type.model_json_schema()))

        assert (plugin_class.__doc__ or "").strip(), (
            f"{plugin_class.__name__} has no docstring: its first line describes the plugin in the OpenAPI document"
        )
        assert not silent, (
            f"operators can't know what these settings mean: {', '.join(silent)}. Write a docstring below each "
            "attribute; classes other than PluginSettings need use_attribute_docstrings=True for that."
        )

    def test_it_refuses_a_setting_that_it_does_not_know(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        bench.generation()  # raises when even the settings of the suite are refused
        findings = bench.refusal({**self.settings, "no_such_setting": 1})

        assert findings, "a mistyped key is accepted: don't change `extra` in the model_config of the settings"
        _assert_positioned(bench, findings)

    def test_it_refuses_settings_of_wrong_types(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        bench.generation()  # raises when even the settings of the suite are refused
        for key, schema in bench.plugin_class.settings_type.model_json_schema().get("properties", {}).items():
            refusals = [bench.refusal({**self.settings, key: wrong}) for wrong in _WRONG_VALUES]
            for findings in refusals:
                _assert_positioned(bench, findings)
            assert any(refusals) or _takes_anything(schema), (
                f"the setting '{key}' accepts an object, a list, a text and a negative number: state its type"
            )

    def test_it_is_built_without_opening_anything(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        with leaving_nothing("building the application"):
            generation = bench.generation()

        assert generation.step == "starting"

    def test_it_starts_and_stops_clean(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def start_and_stop() -> list[str]:
            generation = bench.generation()
            await generation.start()
            steps = [generation.step]
            await asyncio.sleep(_BACKGROUND_TASKS_BEGIN_WITHIN)
            await generation.stop()
            return [*steps, generation.step]

        assert run("starting and stopping", start_and_stop) == ["serving", "stopped"]

    def test_it_can_be_stopped_without_a_start_and_twice(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def stop_often() -> None:
            never_started, started = bench.generation(), bench.generation()
            await never_started.stop()
            await never_started.stop()
            await started.start()
            await started.stop()
            await started.stop()

        run("stopping without a start, and twice", stop_often)

    def test_a_start_can_be_cancelled_at_any_step(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        for steps in _steps_to_cancel_after():

            async def start_and_cancel(steps: int = steps) -> bool:
                generation = bench.generation()
                start = asyncio.create_task(generation.start())
                for _ in range(steps):
                    await asyncio.sleep(0)
                was_done = start.done()
                start.cancel()
                with suppress(asyncio.CancelledError):
                    await start
                await generation.stop()
                return was_done

            if run(f"a start that is cancelled after {steps} steps of the event loop", start_and_cancel):
                return

    def test_it_serves_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def serve() -> dict[str, int]:
            generation = bench.generation()
            await generation.start()
            try:
                return await bench.statuses(generation)
            finally:
                await generation.stop()

        failed = [path for path, status in run("serving", serve).items() if status == 500]
        assert not failed, (
            f"GET {failed[0]} answers 500: an exception of the plugin gets out. Raise a Problem, or register a "
            "ProblemHandler for it."
        )

    def test_its_health_checks_answer_in_time(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def check() -> None:
            generation = bench.generation()
            await generation.start()
            try:
                for owned in generation.checks:
                    if owned.plugin == self.plugin:
                        await _ask(owned.check)
            finally:
                await generation.stop()

        run("asking the health checks", check)

    def test_two_applications_live_side_by_side(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)

        async def serve_two() -> list[dict[str, int]]:
            first, second = bench.generation(), bench.generation()
            await first.start()
            try:
                alone = await bench.statuses(first)
                await second.start()
                beside = [await bench.statuses(generation) for generation in (first, second)]
                await first.stop()
                return [alone, *beside, await bench.statuses(second)]
            finally:
                await first.stop()
                await second.stop()

        alone, *others = run("two applications in one process", serve_two)
        assert all(statuses == alone for statuses in others), (
            f"two applications in one process disturb each other: alone one answers {alone}, then {others}. Keep state "
            "on the plugin's instance or on a service, not in a module or a class."
        )

    def test_it_keeps_no_state_in_its_modules(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        state = ModuleState(package_of(bench.plugin_class))

        async def serve_twice() -> None:
            for _ in range(2):
                generation = bench.generation()
                await generation.start()
                try:
                    await bench.statuses(generation)
                finally:
                    await generation.stop()

        run("serving twice", serve_twice)
        changed = state.changes()
        assert not changed, (
            f"{', '.join(changed)} changed while the plugin served: two applications in one process would share it. "
            "Keep it on the plugin's instance, or on a service that its lifespan yields."
        )

    def test_every_route_says_who_may_call_it(self, tmp_path: Path) -> None:
        routes = self._bench(tmp_path).generation().assembly.index.routes
        undeclared = [
            f"{entry.path} ({entry.source})" for entry in routes if entry.plugin == self.plugin and not entry.access
        ]

        assert not undeclared, (
            f"nothing says who may call {', '.join(undeclared)}. Add Depends(public), Depends(current_identity) or "
            "Depends(require(...)) to the route or its router."
        )

    def test_its_openapi_is_valid(self, tmp_path: Path) -> None:
        generation = self._bench(tmp_path).generation()
        document = generation.application.openapi()
        found = faults(document)
        owned = [op for _, _, op in operations(document) if str(op.get("x-plugin")).startswith(f"{self.plugin}@")]
        shown = [
            entry
            for entry in generation.assembly.index.routes
            if entry.plugin == self.plugin and getattr(entry.route, "include_in_schema", False)
        ]

        assert not found, f"the OpenAPI document has faults: {'; '.join(found)}"
        assert bool(owned) == bool(shown), "customise_openapi takes the plugin's own operations out of the document"

    def test_the_order_of_the_config_does_not_matter(self, tmp_path: Path) -> None:
        neighbours: PluginClasses = {"aaa_neighbour": _Neighbour, "zzz_neighbour": _Neighbour}
        bench = replace(self._bench(tmp_path), extra={**self.extra, **neighbours})
        sections = {**bench.sections(), **dict.fromkeys(neighbours, True)}
        expected = _outline(bench.generation(sections))
        backwards = replace(bench.discovery, plugins=dict(reversed(list(bench.discovery.plugins.items()))))
        for order in islice(permutations(reversed(sections)), _ORDERS):
            found = _outline(bench.generation({name: sections[name] for name in order}, backwards))
            differing = [part for part in expected if found[part] != expected[part]]
            assert not differing, (
                f"another build gives other {' and '.join(differing)}: {[found[part] for part in differing]} instead "
                f"of {[expected[part] for part in differing]}. What the hooks return may depend on the settings only."
            )

    def test_it_leaves_nothing_behind_when_it_is_off(self, tmp_path: Path) -> None:
        bench = self._bench(tmp_path)
        installed = discover_plugins().plugins
        assert self.plugin in installed, "this can only be tested of an installed plugin: pip install --editable ."
        beside = self.requires_config if installed.keys() >= self.requires_config.keys() else {}
        configs = [bench.write_config(plugins) for plugins in (beside, {**beside, self.plugin: False})]
        command = [sys.executable, "-m", "powerstrip.testing.switched_off", *map(str, configs)]

        done = subprocess.run(  # noqa: S603 - our own command
            [*command, package_of(bench.plugin_class)], capture_output=True, text=True, timeout=_OFF_LIMIT, check=False
        )

        assert done.returncode == 0, f"the application does not start without the plugin:\n{done.stderr}"
        found = json.loads(done.stdout)
        assert not found, f"a process in which the plugin is off still notices it: {'; '.join(found)}"


class _Neighbour(Plugin[PluginSettings]):
    """Stands beside a plugin, before or after it in the alphabet."""

    @hookimpl
    def register_interceptors(self) -> list[Interceptor]:
        return [Interceptor()]


def _undescribed(schema: Mapping[str, Any]) -> Iterator[str]:
    models = [("", schema), *((f"{name}.", inner) for name, inner in schema.get("$defs", {}).items())]
    for prefix, model in models:
        for key, field in model.get("properties", {}).items():
            if not field.get("description"):
                yield f"{prefix}{key}"


def _takes_anything(schema: Mapping[str, Any]) -> bool:
    return schema.keys() <= {"title", "description", "default", "examples", "deprecated"}


def _assert_positioned(bench: Bench, findings: tuple[Finding, ...]) -> None:
    """All findings are the plugin's, about its settings, and lead into its section, the last of the config."""
    for finding in findings:
        assert finding.plugin == bench.plugin, f"'{finding.message}' is told of plugin '{finding.plugin}'"
        assert finding.code.startswith("config."), (
            f"{finding.message}: let validators raise ValueError, whatever they are given; nothing else becomes a "
            "finding with a position"
        )
        assert finding.position, f"'{finding.message}' has no position"
        lines = Path(finding.position.file).read_text(encoding="utf-8").splitlines()
        section = next(number for number, line in enumerate(lines, 1) if line.startswith(f'  "{bench.plugin}":'))
        assert finding.position.line >= section, f"'{finding.message}' leads to line {finding.position.line}"


def _steps_to_cancel_after() -> Iterator[int]:
    yield from range(_EACH_STEP_UNTIL)
    steps = _EACH_STEP_UNTIL
    while steps <= _LAST_STEP:
        yield steps
        steps *= 2


async def _ask(check: HealthCheck) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    facts: Mapping[str, Any] | None = None
    with suppress(Exception):  # "not healthy" is an answer too, and the test's machine may lack what is asked for
        async with asyncio.timeout(check.timeout + _GRACE):
            facts = await check.check()
    took = loop.time() - began
    assert took < check.timeout + _GRACE, (
        f"the health check '{check.name}' takes {took:.1f} s and has a timeout of {check.timeout:g} s: ask something "
        "cheaper, don't block the event loop, and don't swallow CancelledError"
    )
    assert facts is None or _is_json_object(facts), (
        f"the health check '{check.name}' returns {facts!r}: it takes a mapping of JSON values, or None"
    )


def _is_json_object(facts: Any) -> bool:
    try:
        return isinstance(json.loads(json.dumps(facts)), dict)
    except (TypeError, ValueError):
        return False


def _outline(generation: Generation) -> dict[str, Any]:
    """All that an order could show in."""
    assembly = generation.assembly
    return {
        "plugin order": [member.name for member in generation.composition.members],
        "routes": [(entry.path, sorted(entry.methods or ()), entry.plugin) for entry in assembly.index.routes],
        "interceptors": [(entry.plugin, type(entry.value).__qualname__) for entry in assembly.layers],
        "OpenAPI": generation.application.openapi(),
    }
