"""Files, environment and options on top of each other."""

import pytest

from powerstrip import ConfigError, Position


def test_mappings_merge_and_everything_else_is_replaced(load_layers):
    config = load_layers(
        "plugins: {p: {a: {x: 1, y: 2}, list: [1, 2], value: 1}}",
        "plugins: {p: {a: {y: 3, z: 4}, list: [9], value: {deep: on}}}",
    )

    assert dict(config.plugins["p"].data) == {"a": {"x": 1, "y": 3, "z": 4}, "list": [9], "value": {"deep": True}}


@pytest.mark.parametrize(
    ("base", "over", "enabled", "data"),
    [
        ("{a: 1}", "off", False, {"a": 1}),
        ("{a: 1, enabled: off}", "on", True, {"a": 1}),
        ("off", "", True, {}),
        ("off", "{a: 1}", False, {"a": 1}),
        ("on", "{a: 1, enabled: off}", False, {"a": 1}),
        ("", "off", False, {}),
    ],
)
def test_a_shorthand_over_a_section_only_flips_the_switch(load_layers, base, over, enabled, data):
    section = load_layers(f"plugins:\n  p: {base}\n", f"plugins:\n  p: {over}\n").plugins["p"]

    assert (section.enabled, dict(section.data)) == (enabled, data)


def test_an_empty_section_in_a_later_layer_changes_nothing(load_layers):
    config = load_layers("server: {port: 1}\nplugins: {p: on}", "server:\nplugins:\n")

    assert config.server.port == 1
    assert list(config.plugins) == ["p"]


def test_the_order_is_files_then_environment_then_options(load_layers):
    texts = [
        "server: {port: 1, workers: 1, backlog: 1, keep_alive: 1}",
        "server: {workers: 2, backlog: 2, keep_alive: 2}",
    ]
    environ = {"POWERSTRIP__SERVER__BACKLOG": "3", "POWERSTRIP__SERVER__KEEP_ALIVE": "3"}

    server = load_layers(*texts, environ=environ, overrides=["server.keep_alive=4"]).server

    assert (server.port, server.workers, server.backlog, server.keep_alive) == (1, 2, 3, 4)


def test_of_two_options_for_one_key_the_last_wins(load):
    assert load("", "server.port=1", "server.port=2").server.port == 2


@pytest.mark.parametrize("name", ["POWERSTRIP__PLUGINS__MY_PLUGIN__ENABLED", "powerstrip__plugins__my_plugin__enabled"])
def test_variables_find_keys_without_regard_to_case_and_dashes(load, name):
    config = load("plugins: {My-Plugin: on}", environ={name: "off"})

    assert {name: section.enabled for name, section in config.plugins.items()} == {"My-Plugin": False}


def test_a_variable_can_list_a_plugin(load):
    config = load("", environ={"POWERSTRIP__PLUGINS__USERS__LIMIT": "5"})

    assert config.plugins["users"].enabled
    assert config.plugins["users"].data["limit"] == 5


def test_variables_with_other_prefixes_are_left_alone(load):
    assert load("", environ={"POWERSTRIP_CONFIG": "x", "POWERSTRIP": "y", "SERVER__PORT": "1"}).server.port == 8000


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("5", 5),
        ("off", False),
        ("'5'", "5"),
        ('"a\\tb"', "a\tb"),
        ("[1, two, 'on']", [1, "two", "on"]),
        ("{a: 1, b: [off]}", {"a": 1, "b": [False]}),
        ("p@ss # word: *x", "p@ss # word: *x"),
        ("a=b", "a=b"),
        ("${NOT_A_TEMPLATE}", "${NOT_A_TEMPLATE}"),
        ("", None),
    ],
)
def test_a_value_of_an_option_or_a_variable_is_one_scalar_or_yaml_in_brackets_or_quotes(load, value, meant):
    by_option = load("", f"plugins.p.value={value}")
    by_variable = load("", environ={"POWERSTRIP__PLUGINS__P__VALUE": value})

    assert by_option.plugins["p"].data == by_variable.plugins["p"].data == {"value": meant}


def test_an_option_for_a_text_needs_no_quotes_within_quotes(load):
    assert load("", "app.title=no", "app.version=1.0").app.model_dump(include={"title", "version"}) == {
        "title": "no",
        "version": "1.0",
    }


def test_a_merged_plugin_keeps_the_place_where_it_was_listed_first_and_a_value_has_that_of_the_layer_that_won(
    load_layers,
):
    config = load_layers("plugins:\n  p:\n    a: 1\n", "plugins: {p: {a: 2}}", overrides=["plugins.p.b=3"])

    assert config.position(("plugins", "p")) == Position("1.yaml", 2, 3)
    assert config.position(("plugins", "p", "a")) == Position("2.yaml", 1, 15)
    assert config.position(("plugins", "p", "b")) == Position("--set plugins.p.b", 1, 11)


def test_no_file_at_all_means_the_defaults_and_no_position(load_layers):
    config = load_layers()

    assert config.server.port == 8000
    assert config.position(("server",)) is None


def test_a_broken_layer_does_not_hide_the_findings_of_the_others(load_layers):
    with pytest.raises(ConfigError) as caught:
        load_layers("server: [", "server: {port: x}", overrides=["nothing"])

    assert [finding.position.file for finding in caught.value.findings] == ["--set nothing", "1.yaml", "2.yaml"]


def test_a_variable_or_an_option_that_is_not_text_is_a_finding(load):
    with pytest.raises(ConfigError) as caught:
        load("", "app.title=\x07", environ={"POWERSTRIP__APP__TITLE": "\udcff"})

    assert [finding.code for finding in caught.value.findings] == ["config.encoding"] * 2
