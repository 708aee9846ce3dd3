"""The READMEs of plugins tell what their settings are, and their examples work."""

import re
from pathlib import Path

import pytest
import yaml

from powerstrip.host.discovery import discover_plugins

ROOT = Path(__file__).parent.parent
FOLDERS = {
    plugin.name.removeprefix("powerstrip-"): plugin for plugin in (*ROOT.glob("plugins/*"), *ROOT.glob("examples/*"))
}
READMES = {name: (folder / "README.md").read_text(encoding="utf-8") for name, folder in FOLDERS.items()}
EXAMPLES = {name: re.findall(r"```yaml\n(plugins:\n.*?)```", text, re.DOTALL) for name, text in READMES.items()}


@pytest.mark.parametrize("name", READMES)
def test_each_setting_stands_in_a_table_or_heads_one(name: str) -> None:
    schema = discover_plugins().plugins[name].load().settings_type.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    settings = {setting for model in models for setting in model.get("properties", {})}
    told = " ".join(re.findall(r"^(?:\||### ).*", READMES[name], re.MULTILINE))

    assert [setting for setting in sorted(settings) if not re.search(rf"`([\w.]+\.)?{setting}[`.]", told)] == []


@pytest.mark.parametrize("name", [name for name, found in EXAMPLES.items() if found])
def test_the_first_example_is_a_config_that_starts(name, powerstrip_client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with powerstrip_client(yaml.safe_load(EXAMPLES[name][0])["plugins"]) as client:
        assert client.get("/nowhere").status_code in (400, 404)
