"""The README tells what the plugin takes; `tests/test_docs.py` runs its blocks."""

import re
from pathlib import Path

import pytest

from powerstrip_database import __all__ as public_names
from powerstrip_database.settings import DatabaseSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXPLAINED_BY_OTHERS = {"ConstraintViolation", "DatabaseHooks", "DialectName", "MigrationError", "Statement"}


@pytest.mark.parametrize("setting", DatabaseSettings.model_fields)
def test_each_setting_stands_in_the_table(setting):
    assert re.search(rf"^\| `{setting}`", README, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(public_names) - EXPLAINED_BY_OTHERS))
def test_each_public_name_is_told(name):
    assert f"`{name}`" in README
