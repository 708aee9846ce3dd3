"""Social keeps every promise that a plugin makes."""

from typing import ClassVar

import pytest

from powerstrip.testing import PluginConformance


class TestSocial(PluginConformance):
    plugin = "social"
    requires_config: ClassVar = {"database": True, "users": True}

    @pytest.fixture(autouse=True)
    def _folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
