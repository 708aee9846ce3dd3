"""What the JSON Schema says beside what `test_schema_equivalence.py` proves."""

import json
import os
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from powerstrip import ConfigError, PluginSettings
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.config import load_config
from powerstrip.host.config.schema import config_schema
from powerstrip.host.discovery import discover_plugins

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))


class Settings(PluginSettings):
    size: int
    """How large it is."""

    key: SecretStr = SecretStr("very secret default")


def accepts(document, **settings_types) -> bool:
    return Draft202012Validator(config_schema(settings_types)).is_valid(document)


def test_it_is_a_json_schema():
    Draft202012Validator.check_schema(config_schema({"p": Settings}))


@pytest.mark.parametrize(
    "document",
    [
        {"server": {"port": "${PORT:-8000}", "reload": "${RELOAD}", "drain_delay": "${D}"}},
        {"app": {"debug": "${DEBUG}", "docs": "${DOCS}", "title": "a ${T}"}},
        {"plugins": {"p": "${FEATURE}", "q": {"enabled": "${FEATURE}", "prefix": "${P}"}}},
        {"plugins": {"p": {"size": "${SIZE}", "key": "${file:/run/secrets/key}"}}},
    ],
)
def test_a_template_may_stand_in_place_of_any_single_value(document):
    assert accepts(document, p=Settings)


def test_a_template_may_not_stand_in_place_of_a_list_or_a_mapping():
    assert not accepts({"server": "${SERVER}"})
    assert not accepts({"plugins": "${PLUGINS}"})


def test_the_section_of_a_plugin_is_described_only_while_it_is_on():
    wrong = {"size": "large", "unknown": 1}

    assert not accepts({"plugins": {"p": wrong}}, p=Settings)
    assert accepts({"plugins": {"p": {**wrong, "enabled": False}}}, p=Settings)
    assert accepts({"plugins": {"p": {**wrong, "enabled": "Off"}}}, p=Settings)
    assert accepts({"plugins": {"p": "off"}}, p=Settings)
    assert accepts({"plugins": {"p": wrong}})


def test_the_shorthand_needs_defaults_for_all_settings():
    assert not accepts({"plugins": {"p": "on"}}, p=Settings)
    assert accepts({"plugins": {"p": "on", "q": None}})


def test_a_plain_word_in_a_text_is_where_loader_and_editor_differ(load):
    assert accepts({"app": {"title": "no"}})
    with pytest.raises(ConfigError, match="quote it: 'no'"):
        load("app: {title: no}")
    assert load("app: {title: 'no'}").app.title == "no"


def test_descriptions_are_for_editors_and_defaults_hold_no_secret():
    text = json.dumps(config_schema({"p": Settings}))

    assert "How large it is." in text
    assert "Port to listen on" in text
    assert "very secret default" not in text


def test_the_shipped_schema_is_that_of_the_first_party_plugins():
    """`POWERSTRIP_WRITE_GOLDEN=1` writes it anew."""
    path = ROOT / "config" / "config.schema.json"
    folders = {folder.name for folder in (ROOT / "plugins").iterdir()}
    first_party = {name: plugin for name, plugin in discover_plugins().plugins.items() if name in folders}
    described = config_schema({name: first_party[name].load().settings_type for name in sorted(first_party)})
    if "POWERSTRIP_WRITE_GOLDEN" in os.environ:
        path.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    assert json.loads(path.read_text(encoding="utf-8")) == described


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_config_loads_without_a_warning_and_names_its_schema(path):
    config = load_config([path], environ={})

    assert config.findings == ()
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=./config.schema.json\n")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_settings_in_a_shipped_config_are_right(path):
    config = load_config([path], environ={})
    installed = discover_plugins().plugins

    for name in config.plugins:
        config.settings_of(name, installed[name].load().settings_type)


def test_every_code_is_explained_and_used():
    modules = (ROOT / "core" / "src" / "powerstrip" / "host" / "config").glob("*.py")
    sources = " ".join(path.read_text(encoding="utf-8") for path in modules if path.stem != "codes")
    used = set(re.findall(r"ConfigCode\.(\w+)", sources))

    assert used == set(ConfigCode.__members__)
    assert all(code.explanation.endswith(".") for code in ConfigCode)


def test_every_code_of_a_broken_file_has_a_golden_file():
    golden = (Path(__file__).parent / "golden").glob("*.expected")
    shown = set(re.findall(r"\[(config\.[a-z-]+)\]", " ".join(path.read_text(encoding="utf-8") for path in golden)))

    assert shown == {code.value for code in ConfigCode} - {ConfigCode.TOO_MANY.value}
