"""`powerstrip config`: what the config comes to, and what it may hold."""

import json

import jsonschema
import pytest

SECRETIVE = """
class LampSettings(PluginSettings):
    colour: str = "white"
    key: SecretStr = SecretStr("none")

class Strange(Plugin[LampSettings]):
    pass
"""
BROKEN = 'raise RuntimeError("burnt out")'


@pytest.fixture
def shown(run):
    def show(*line: str) -> dict:
        result = run("config", "show", "--json", *line)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return show


def test_each_value_comes_with_its_origin(shown, write_config, install, monkeypatch):
    install("lamp", SECRETIVE)
    write_config("server: {port: 1}\nplugins: {lamp: {colour: red}}")
    monkeypatch.setenv("POWERSTRIP__SERVER__WORKERS", "3")

    values = shown("--set", "logging.level=error")

    assert values["server.port"] == {"value": 1, "origin": "config/config.yaml:1:10"}
    assert values["server.workers"] == {"value": 3, "origin": "environment POWERSTRIP__SERVER__WORKERS"}
    assert values["logging.level"] == {"value": "error", "origin": "--set"}
    assert values["server.host"] == {"value": "127.0.0.1", "origin": "default"}
    assert values["plugins.lamp.colour"] == {"value": "red", "origin": "config/config.yaml:2:18"}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_no_secret_is_shown(run, write_config, install, monkeypatch, form):
    install("lamp", SECRETIVE)
    monkeypatch.setenv("KEY", "hunter2")
    write_config("plugins: {lamp: {key: '${KEY}'}}")

    result = run("config", "show", *form)

    assert result.exit_code == 0
    assert "plugins.lamp.key" in result.stdout
    assert "hunter2" not in result.output
    assert "**********" in result.stdout


def test_people_get_a_line_per_value(run, write_config):
    write_config("app: {title: Lights}")

    lines = run("config", "show").stdout.splitlines()

    assert lines[0].split() == ["KEY", "VALUE", "ORIGIN"]
    assert ["app.title", "Lights", "config/config.yaml:1:7"] in [line.split() for line in lines]
    assert ["app.debug", "false", "default"] in [line.split() for line in lines]


def test_a_wrong_setting_is_a_finding_in_place_of_the_values(run, write_config, install):
    install("lamp", SECRETIVE)
    write_config("plugins: {lamp: {color: red}}")

    result = run("config", "show")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean 'colour'?" in result.stderr


def test_the_schema_knows_the_settings_of_plugins_that_are_on(run, write_config, install):
    install("lamp", SECRETIVE)
    install("torch", BROKEN)
    write_config("plugins: {lamp: on, torch: off}")

    result = run("config", "schema")
    check = jsonschema.Draft202012Validator(json.loads(result.stdout))

    assert (result.exit_code, result.stderr) == (0, "")
    assert check.is_valid({"plugins": {"lamp": {"colour": "red"}}})
    assert not check.is_valid({"plugins": {"lamp": {"color": "red"}}})


def test_the_schema_of_everything_needs_no_config_and_knows_what_is_off(run, install):
    install("lamp", SECRETIVE)

    schema = json.loads(run("config", "schema", "--all").stdout)

    assert not jsonschema.Draft202012Validator(schema).is_valid({"plugins": {"lamp": {"color": "red"}}})


def test_a_plugin_that_can_not_be_imported_is_left_free_in_the_schema_and_named(run, install):
    install("lamp", SECRETIVE)
    install("torch", BROKEN)

    result = run("config", "schema", "--all", "--json")
    check = jsonschema.Draft202012Validator(json.loads(result.stdout))

    assert result.exit_code == 0
    assert "warning: the settings of 'torch' are not in it: RuntimeError: burnt out" in result.stderr
    assert check.is_valid({"plugins": {"torch": {"anything": 1}}})
    assert not check.is_valid({"plugins": {"lamp": {"color": "red"}}})
