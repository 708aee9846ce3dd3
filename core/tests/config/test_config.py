"""What others get from a loaded config."""

from dataclasses import FrozenInstanceError

import pytest
from pydantic import Field, ValidationError

from powerstrip import ConfigError, PluginSettings, Position
from powerstrip.host.config.config import load_config
from powerstrip.host.config.report import render_finding


class Settings(PluginSettings):
    name: str = "x"
    sizes: list[int] = Field(default=[1])
    key_by_alias: int = Field(default=0, alias="key-by-alias")


class BrokenDefault(PluginSettings):
    size: int = "no number"


TEXT = "app:\n  title: T\nserver: {port: 1}\nplugins:\n  p:\n    name: n\n"


def test_a_config_can_not_be_changed(load):
    config = load(TEXT)

    with pytest.raises(FrozenInstanceError):
        config.files = ()
    with pytest.raises(ValidationError, match="frozen"):
        config.app.title = "other"
    with pytest.raises(TypeError):
        config.plugins["q"] = config.plugins["p"]
    with pytest.raises(TypeError):
        config.plugins["p"].data["name"] = "other"


def test_two_loads_of_the_same_text_are_equal_and_of_another_are_not(load):
    assert load(TEXT) == load(TEXT + "\n# comment")
    assert load(TEXT) != load(TEXT.replace("name: n", "name: m"))


@pytest.mark.parametrize(
    ("path", "position", "owner"),
    [
        (("plugins", "p"), Position("config.yaml", 5, 3), "p"),
        (("plugins", "p", "name"), Position("config.yaml", 6, 5), "p"),
        (("plugins",), Position("config.yaml", 4, 1), None),
        (("server", "port"), Position("config.yaml", 3, 10), None),
    ],
)
def test_a_finding_made_from_a_path_has_place_and_owner(load, path, position, owner):
    finding = load(TEXT).finding(path, "test.code", "is wrong")

    assert (finding.position, finding.plugin, finding.level) == (position, owner, "error")


def test_a_finding_made_from_a_path_shows_its_line(load):
    finding = load(TEXT).finding(("server", "port"), "test.code", "is taken", hint="take another")

    assert render_finding(finding) == (
        "config.yaml:3:10: error: is taken [test.code]\n"
        "  | server: {port: 1}\n"
        "  |          ^^^^\n"
        "  = take another"
    )  # fmt: skip


def test_an_excerpt_shows_as_much_of_a_long_line_as_surrounds_the_caret(load):
    config = load("app: {" + "description: '" + "x" * 500 + "', title: T, version: '" + "9" * 500 + "'}\n")

    line, caret = config.finding(("app", "title"), "test.code", "m").excerpt.splitlines()

    assert len(line) <= 122
    assert line[caret.index("^") : caret.rindex("^") + 1] == "title"


def test_a_tab_before_the_caret_keeps_it_under_its_word(load):
    _, caret = load("app:\t{title:\tT}\n").finding(("app", "title"), "test.code", "m").excerpt.splitlines()

    assert caret == "    \t ^^^^^"


def test_files_are_all_that_the_config_was_read_from(load_layers, folder):
    (folder / "key").write_text("k")

    config = load_layers("app: {title: '${file:key}'}", "app: {version: '${file:key}'}")

    assert config.files == (folder / "1.yaml", folder / "key", folder / "2.yaml")


def test_warnings_stand_in_the_config(load):
    config = load("app: {debug: on}\nserver: {host: '::', port: 010}\n")

    assert [(finding.code, finding.level) for finding in config.findings] == [
        ("config.debug-exposed", "warning"),
        ("config.leading-zero", "warning"),
    ]


@pytest.mark.parametrize(
    ("text", "docs"), [("", False), ("app: {debug: on}", True), ("app: {docs: on}", True), ("app: {docs: off}", False)]
)
def test_docs_follow_debug_unless_stated(load, text, docs):
    assert load(text).app.docs_enabled is docs


def test_values_name_where_each_comes_from(load):
    config = load(TEXT, "server.workers=2", environ={"POWERSTRIP__SERVER__BACKLOG": "5"})

    values = {value.path: (value.value, value.origin) for value in config.values({"p": Settings})}

    assert values[("app", "title")] == ("T", "config.yaml:2:3")
    assert values[("app", "debug")] == (False, "default")
    assert values[("server", "workers")] == (2, "--set")
    assert values[("server", "backlog")] == (5, "environment POWERSTRIP__SERVER__BACKLOG")
    assert values[("plugins", "p", "enabled")] == (True, "default")
    assert values[("plugins", "p", "name")] == ("n", "config.yaml:6:5")
    assert values[("plugins", "p", "sizes", 0)] == (1, "default")


def test_the_origin_of_a_shorthand_is_its_line(load):
    values = {value.path: value.origin for value in load("plugins:\n  p: on\n  q:\n").values()}

    assert values[("plugins", "p", "enabled")] == "config.yaml:2:6"
    assert values[("plugins", "q", "enabled")] == "config.yaml:3:5"


def test_settings_are_known_by_their_aliases(load):
    config = load("plugins: {p: {key-by-alias: 3}}")

    assert config.settings_of("p", Settings).key_by_alias == 3
    with pytest.raises(ConfigError, match="did you mean 'key-by-alias'"):
        load("plugins: {p: {key_by_alias: 3}}").settings_of("p", Settings)


def test_a_wrong_default_is_the_plugins_fault_and_says_so(load):
    with pytest.raises(ConfigError) as caught:
        load("plugins: {p: on}").settings_of("p", BrokenDefault)

    assert [finding.message for finding in caught.value.findings] == [
        "the default of 'plugins.p.size' is refused by the plugin itself"
    ]


class Overlapping(PluginSettings):
    prefix: str = ""


def test_settings_can_not_have_a_key_of_the_core(load):
    with pytest.raises(TypeError, match="Overlapping can't have a field 'prefix'"):
        load("plugins: {p: on}").settings_of("p", Overlapping)


def test_loading_uses_the_environment_unless_another_is_given(folder, monkeypatch):
    monkeypatch.setenv("POWERSTRIP__SERVER__PORT", "4711")
    (folder / "config.yaml").touch()

    assert load_config(["config.yaml"]).server.port == 4711
    assert load_config(["config.yaml"], environ={}).server.port == 8000
