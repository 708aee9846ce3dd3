"""Users keeps every promise that a plugin makes, on both databases."""

from typing import Any, ClassVar

import pytest

from powerstrip.testing import PluginConformance


class TestOnSQLite(PluginConformance):
    plugin = "users"
    settings: ClassVar = {"passwords": {"memory_kib": 8, "iterations": 1}}
    requires_config: ClassVar = {"database": True}

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)


class TestOnPostgreSQL(PluginConformance):
    plugin = "users"
    settings: ClassVar = {
        "secret_key": "a key for tests that nobody else has",
        "passwords": {"memory_kib": 8, "iterations": 1},
    }
    requires_config: Any  # each test has a database of its own

    @pytest.fixture(autouse=True)
    def _database(self, postgresql_url, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.requires_config = {"database": {"url": postgresql_url}}
