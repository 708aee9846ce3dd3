"""The README tells what the plugin takes; `tests/test_docs.py` runs its blocks."""

import re
from pathlib import Path

import pytest

from powerstrip_redis import __all__ as public_names
from powerstrip_redis.settings import RedisSettings, TlsSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", RedisSettings.model_fields)
def test_each_setting_stands_in_the_table(setting):
    assert re.search(rf"^\| .*`{setting}`", README, re.MULTILINE)


@pytest.mark.parametrize("setting", TlsSettings.model_fields)
def test_each_setting_of_tls_is_told(setting):
    assert f"`{setting}`" in README


@pytest.mark.parametrize("name", public_names)
def test_each_public_name_is_told(name):
    assert f"`{name}`" in README
