"""The README tells what the plugin takes, and its examples work."""

import re
from pathlib import Path

import pytest
import yaml

from powerstrip_exports.settings import ExportsSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def names():
    schema = ExportsSettings.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for model in models for name in model.get("properties", {})})


@pytest.mark.parametrize("setting", names())
def test_each_setting_stands_in_a_table_or_heads_one(setting):
    assert re.search(rf"^(\||### ).*`{setting}`", README, re.MULTILINE)


def test_the_example_is_a_config_that_starts(powerstrip_client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    with powerstrip_client(yaml.safe_load(example)["plugins"]) as client:
        assert client.get("/api/v1/exports").status_code == 401
