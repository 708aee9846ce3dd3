"""The suite passes a plugin without faults, and says of others what to do."""

import pytest
from core.tests.testing.subjects import Subject, check, complaint

from powerstrip.testing import PluginConformance

CLEAN = [name for name in dir(PluginConformance) if name.startswith("test_")]


INSTALLED_ONLY = {"its_metadata_says_what_its_class_provides", "it_leaves_nothing_behind_when_it_is_off"}


@pytest.mark.parametrize("rule", sorted({name.removeprefix("test_") for name in CLEAN} - INSTALLED_ONLY))
def test_a_plugin_without_faults_passes(rule, tmp_path):
    check(Subject, rule, tmp_path)


def test_a_plugin_that_is_not_installed_is_told_how_to_be(tmp_path):
    told = complaint(Subject, "it_starts_and_stops_clean", tmp_path, plugin="absent")

    assert "no installed plugin is named 'absent'" in told
    assert "pip install --editable" in told


def test_settings_of_the_suite_that_do_not_fit_are_shown_as_findings(tmp_path):
    told = complaint(Subject, "it_starts_and_stops_clean", tmp_path, settings={"speed": 1})

    assert "`settings`" in told
    assert "unknown key 'speed'" in told
