"""`${NAME}`, `${NAME:-default}` and `${file:PATH}`."""

from typing import Any

import pytest
from pydantic import SecretStr

from powerstrip import ConfigError, PluginSettings
from powerstrip.host.config.config import load_config


class Settings(PluginSettings):
    text: str = ""
    number: int = 0
    maybe: str | None = "x"
    secret: SecretStr = SecretStr("none")


def value_of(load, written: str, **environ: str) -> Any:
    return load(f"plugins:\n  p:\n    value: {written}\n", environ=environ).plugins["p"].data["value"]


@pytest.mark.parametrize(
    ("written", "environ", "meant"),
    [
        ("${X}", {"X": "8000"}, 8000),
        ("${X}", {"X": "on"}, True),
        ("${X}", {"X": "text"}, "text"),
        ("${X}", {"X": ""}, None),
        ("'${X}'", {"X": "8000"}, "8000"),
        ('"${X}"', {"X": "on"}, "on"),
        ("1${X}", {"X": "0"}, 10),
        ("a-${X}-${Y}", {"X": "1", "Y": "2"}, "a-1-2"),
        ("${X:-7}", {}, 7),
        ("${X:-7}", {"X": ""}, 7),
        ("${X:-7}", {"X": "8"}, 8),
        ("${X:-}", {}, None),
        ("${X:-a:-b$}", {}, "a:-b$"),
        ("$${X}", {"X": "1"}, "${X}"),
        ("$$${X}", {"X": "1"}, "$${X}"),
        ("$X ${X}", {"X": "1"}, "$X 1"),
        ("${X}", {"X": "${Y}"}, "${Y}"),
        ("${X}", {"X": "a: b # c"}, "a: b # c"),
    ],
)
def test_a_template_becomes_what_it_names(load, written, environ, meant):
    found = value_of(load, written, **environ)

    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("content", "text"), [("12\n", "12"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" on", " on"), ("", "")]
)
def test_the_text_of_a_file_stays_text_without_its_last_line_end(load, folder, content, text):
    (folder / "value").write_bytes(content.encode())

    assert value_of(load, "${file:value}") == text


def test_a_files_path_starts_at_the_folder_of_the_config_that_names_it(folder):
    (folder / "etc").mkdir()
    (folder / "etc" / "key").write_text("abc")
    (folder / "etc" / "config.yaml").write_text("plugins: {p: {key: '${file:key}'}}")

    config = load_config(["etc/config.yaml"], environ={})

    assert config.plugins["p"].data["key"] == "abc"
    assert config.files == (folder / "etc" / "config.yaml", folder / "etc" / "key")


@pytest.mark.parametrize("value", ["0123456", "on", "1e5", "null", "12"])
def test_a_variable_is_text_where_text_is_wanted_whatever_it_looks_like(load, value):
    config = load("plugins:\n  p:\n    text: ${V}\n    secret: ${V}\n", environ={"V": value})

    settings = config.settings_of("p", Settings)

    assert (settings.text, settings.secret.get_secret_value()) == (value, value)


def test_an_empty_variable_is_nothing_where_nothing_is_allowed(load):
    config = load("plugins:\n  p:\n    maybe: ${V}\n    text: ${V}\n", environ={"V": ""})

    settings = config.settings_of("p", Settings)

    assert (settings.maybe, settings.text) == (None, "")


def test_keys_are_not_interpolated(load):
    assert list(load("plugins: {p: {'${X}': 1}}").plugins["p"].data) == ["${X}"]


def test_a_variable_that_is_not_text_is_a_finding(load):
    with pytest.raises(ConfigError) as caught:
        load("app:\n  title: ${X}\n", environ={"X": "a\udcffb"})

    assert [finding.code for finding in caught.value.findings] == ["config.encoding"]


def test_a_template_that_can_not_be_resolved_is_reported_once_and_not_for_its_type_too(load):
    with pytest.raises(ConfigError) as caught:
        load("server:\n  port: ${PORT}\n  workers: '${WORKERS}'\n")

    assert [finding.code for finding in caught.value.findings] == ["config.unset-variable"] * 2
