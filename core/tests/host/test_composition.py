"""Which plugins take part, in which order, and what is said when that can't be."""

import itertools
import random
import sys
import types
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerstrip import CompositionError, Finding, Plugin, PluginSettings
from powerstrip.host.composition import compose
from powerstrip.host.config.config import load_config, read_config
from powerstrip.host.discovery import discover_plugins


def plugin(**attributes: Any) -> type[Plugin[PluginSettings]]:
    return types.new_class("Made", (Plugin[PluginSettings],), exec_body=lambda namespace: namespace.update(attributes))


def names(composition: Any) -> list[str]:
    return [member.name for member in composition.members]


def findings_of(compose_plugins: Any, *arguments: Any, **options: Any) -> list[Finding]:
    with pytest.raises(CompositionError) as caught:
        compose_plugins(*arguments, **options)
    return list(caught.value.findings)


def test_what_is_required_or_wanted_comes_first_and_the_alphabet_decides_the_rest(compose_plugins):
    classes = {
        "a": plugin(requires=("z",)),
        "b": plugin(wants=("y", "absent")),
        "c": plugin(),
        "y": plugin(),
        "z": plugin(requires=("light",)),
        "lamp": plugin(provides=("light",)),
    }

    assert names(compose_plugins(classes)) == ["c", "lamp", "y", "b", "z", "a"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_order_of_yaml_or_installation_changes_the_composition(compose_plugins, data):
    size = data.draw(st.integers(2, 7))
    edges = data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), max_size=10))
    needs: dict[int, set[str]] = {number: set() for number in range(size)}
    for one, two in edges:
        if one != two:
            needs[max(one, two)].add(f"p{min(one, two)}")
    made = {f"p{number}": plugin(requires=tuple(sorted(needs[number]))) for number in range(size)}
    shuffled = list(made)
    random.Random(data.draw(st.integers())).shuffle(shuffled)

    composed = compose_plugins(made)
    again = compose_plugins({name: made[name] for name in shuffled})

    assert names(composed) == names(again)
    for number, needed in needs.items():
        for name in needed:
            assert names(composed).index(name) < names(composed).index(f"p{number}")


def test_a_cycle_is_told_edge_by_edge(compose_plugins):
    classes = {
        "a": plugin(requires=("b",)),
        "b": plugin(wants=("light",)),
        "c": plugin(provides=("light",), requires=("a",)),
    }

    (finding,) = findings_of(compose_plugins, classes)

    assert finding.code == "plugin.cycle"
    assert "'a' requires 'b' of 'b', 'b' wants 'light' of 'c', 'c' requires 'a' of 'a'" in finding.message


def test_everything_that_is_wrong_is_told_at_once_with_its_place(compose_plugins):
    class Broken(Plugin[PluginSettings]):
        def __init__(self, name: str, settings: PluginSettings) -> None:
            raise ValueError("no")

    classes = {
        "old": plugin(api=">=0.1,<0.2"),
        "odd": plugin(api="one"),
        "lonely": plugin(requires=("light",)),
        "broken": Broken,
        "left": plugin(conflicts=("right",)),
        "right": plugin(),
        "rightly": plugin(),
    }
    text = "plugins:\n" + "".join(f"  {name}: on\n" for name in (*classes, "rightl", "nowhere_else"))

    findings = findings_of(compose_plugins, classes, text)

    assert [(finding.code, finding.plugin, finding.position.line) for finding in findings] == [
        ("plugin.api-range", "old", 2),
        ("plugin.api-range", "odd", 3),
        ("plugin.not-made", "broken", 5),
        ("plugin.not-installed", "rightl", 9),
        ("plugin.not-installed", "nowhere_else", 10),
        ("plugin.conflict", "left", 6),
        ("plugin.missing-requirement", "lonely", 4),
    ]
    hints = {finding.plugin: finding.hint for finding in findings}
    assert hints["rightl"] == "did you mean 'rightly'?"
    assert hints["nowhere_else"] == "pip install powerstrip-nowhere-else"


def test_a_missing_requirement_names_the_installed_plugin_that_is_off(compose_plugins):
    classes = {"a": plugin(requires=("b",)), "b": plugin()}

    (finding,) = findings_of(compose_plugins, classes, "plugins: {a: on, b: off}\n")

    assert finding.hint == "switch 'b' on: it is installed and provides 'b'"


def test_a_skipped_plugin_takes_its_dependants_along(compose_plugins):
    classes = {
        "a": plugin(provides=("light",), api=">=9"),
        "b": plugin(requires=("a",)),
        "c": plugin(requires=("b",)),
        "d": plugin(wants=("b",)),
    }
    text = "plugins:\n  a: {on_failure: skip}\n  b: on\n  c: on\n  d: on\n"

    composition = compose_plugins(classes, text)

    assert names(composition) == ["d"]
    assert sorted(composition.skipped) == ["a", "b", "c"]
    assert composition.skipped["c"].reason == "requires 'b', which is not available"
    assert {finding.level for finding in composition.findings} == {"warning"}


def test_what_processes_do_not_share_is_a_warning_where_there_are_several(compose_plugins):
    classes = {"bell": plugin(shared_through=("wire",))}

    (finding,) = compose_plugins(classes, "server: {workers: 2}\nplugins:\n  bell: on\n").findings

    assert (finding.code, finding.level, finding.plugin) == ("plugin.not-shared", "warning", "bell")
    assert finding.hint == "switch 'wire' on, through which processes share it"
    assert finding.position is not None
    assert finding.position.line == 3


@pytest.mark.parametrize("server", ["", "server: {workers: 2}\n"])
def test_what_is_shared_or_alone_is_no_warning(compose_plugins, server):
    classes = {"bell": plugin(shared_through=("wire",)), "lamp": plugin(provides=("wire",))}
    plugins = "plugins: {bell: on, lamp: on}" if server else "plugins: {bell: on}"

    assert compose_plugins(classes, server + plugins).findings == ()


def test_a_name_that_two_distributions_claim_is_refused_with_both_names(tmp_path, monkeypatch, write_distribution):
    for distribution in ("powerstrip-lamp", "evil-lamp"):
        write_distribution(tmp_path / distribution, distribution, {}, {"lamp": "nowhere:Lamp"}, version="1.5")
        monkeypatch.syspath_prepend(tmp_path / distribution)
    config = tmp_path / "config.yaml"
    config.write_text("plugins:\n  lamp: on\n")

    with pytest.raises(CompositionError) as caught:
        compose(load_config([config]), discover_plugins())

    (finding,) = caught.value.findings
    assert finding.code == "plugin.name-clash"
    assert finding.message == "the plugin name 'lamp' is claimed by evil-lamp 1.5 and powerstrip-lamp 1.5"
    assert (finding.position.line, finding.position.column) == (2, 3)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import missing_library", "ModuleNotFoundError: No module named 'missing_library'"),
        ("class Lamp: pass", "lamp_plugin:Lamp is no powerstrip.Plugin class"),
        ("Lamp = (", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_what_fails_at_import_is_a_finding_of_that_plugin(tmp_path, monkeypatch, write_distribution, source, told):
    write_distribution(tmp_path / "lib", "powerstrip-lamp", {"lamp_plugin": source}, {"lamp": "lamp_plugin:Lamp"})
    monkeypatch.syspath_prepend(tmp_path / "lib")
    config = tmp_path / "config.yaml"
    config.write_text("plugins:\n  lamp: on\n")

    with pytest.raises(CompositionError) as caught:
        compose(load_config([config]), discover_plugins())
    sys.modules.pop("lamp_plugin", None)

    (finding,) = caught.value.findings
    assert (finding.code, finding.plugin) == ("plugin.import-failed", "lamp")
    assert told in finding.message


def test_what_is_off_or_not_listed_is_never_imported(tmp_path, monkeypatch, write_distribution):
    modules = {f"bomb{number}": "raise SystemExit('imported')" for number in range(3)}
    write_distribution(
        tmp_path / "lib", "bombs", modules, {f"bomb{number}": f"bomb{number}:Bomb" for number in range(3)}
    )
    monkeypatch.syspath_prepend(tmp_path / "lib")
    config = tmp_path / "config.yaml"
    config.write_text("plugins: {bomb0: off, bomb1: {enabled: false, anything: 1}}\n")

    composition = compose(load_config([config]), discover_plugins())

    assert composition.members == ()
    assert not set(modules) & set(sys.modules)


def test_permutations_of_a_real_chain_give_one_order(compose_plugins):
    classes = {"a": plugin(), "b": plugin(requires=("a",)), "c": plugin(requires=("b",))}

    orders = {
        tuple(names(compose_plugins({name: classes[name] for name in order})))
        for order in itertools.permutations("abc")
    }

    assert orders == {("a", "b", "c")}


def test_what_is_wrong_with_the_core_and_with_plugins_is_told_at_once(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("server: {port: eighty}\napi: {prefx: /}\nplugins:\n  healt: on\n  tracing: {server_timing: 7}\n")

    with pytest.raises(CompositionError) as caught:
        compose(read_config([config]), discover_plugins())

    told = sorted((finding.position.line, finding.code) for finding in caught.value.findings)
    assert told == [
        (1, "config.wrong-type"),
        (2, "config.unknown-key"),
        (4, "plugin.not-installed"),
        (5, "config.wrong-type"),
    ]
