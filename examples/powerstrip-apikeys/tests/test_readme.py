"""The README tells what the plugin takes."""

import re
from pathlib import Path

import pytest

from powerstrip_apikeys.settings import ApiKey, ApiKeysSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", [*ApiKeysSettings.model_fields, *ApiKey.model_fields])
def test_each_setting_stands_in_a_table(setting):
    assert re.search(rf"^\| `{setting}` \|", README, re.MULTILINE)
