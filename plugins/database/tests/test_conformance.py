"""Database keeps every promise that a plugin makes, on both databases."""

from typing import Any, ClassVar

import pytest

from powerstrip.testing import PluginConformance


class TestOnSQLite(PluginConformance):
    plugin = "database"
    settings: ClassVar = {"slow_statement": 0.2}

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)


class TestOnPostgreSQL(PluginConformance):
    plugin = "database"
    settings: Any  # each test has a database of its own

    @pytest.fixture(autouse=True)
    def _database(self, postgresql_url):
        self.settings = {"url": postgresql_url}
