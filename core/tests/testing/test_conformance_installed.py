"""The suite on plugins that are installed: distributions on the path, with metadata as pip writes it."""

import subprocess
import sys

import pytest

from powerstrip.testing import PluginConformance

PLUGIN = '''
"""A plugin of a test."""

from powerstrip import Plugin, PluginSettings


class Sample(Plugin[PluginSettings]):
    """Does nothing."""

    provides = {provides!r}
'''


class Site:
    """A folder that distributions are 'installed' into."""

    def __init__(self, folder):
        self.folder = folder

    def install(self, name, source, *, provides=(), summary="A sample"):
        (self.folder / f"powerstrip_{name}.py").write_text(source)
        info = self.folder / f"powerstrip_{name}-1.0.dist-info"
        info.mkdir()
        summary_line = f"Summary: {summary}\n" if summary else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.3\nName: powerstrip-{name}\nVersion: 1.0\n{summary_line}")
        value = f"powerstrip_{name}:Sample"
        lines = ["[powerstrip.plugins]", f"{name} = {value}", "[powerstrip.provides]"]
        (info / "entry_points.txt").write_text("\n".join([*lines, *(f"{what} = {value}" for what in provides)]))


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Site(folder)


def suite_for(name, **attributes):
    return type("TestSample", (PluginConformance,), {"plugin": name, **attributes})()


def test_a_capability_that_the_metadata_keeps_quiet_about_is_named(site, tmp_path):
    site.install("quiet", PLUGIN.format(provides=("maps",)))

    with pytest.raises(AssertionError) as failure:
        suite_for("quiet").test_its_metadata_says_what_its_class_provides(tmp_path)

    assert "the class provides ['maps'], the metadata says []" in str(failure.value)
    assert '[project.entry-points."powerstrip.provides"] CAPABILITY = "powerstrip_quiet:Sample"' in str(failure.value)


def test_metadata_that_tells_of_a_capability_the_class_lacks_is_named(site, tmp_path):
    site.install("boasting", PLUGIN.format(provides=()), provides=["maps"])

    with pytest.raises(AssertionError, match=r"provides \[\], the metadata says \['maps'\]"):
        suite_for("boasting").test_its_metadata_says_what_its_class_provides(tmp_path)


def test_a_distribution_must_have_a_summary(site, tmp_path):
    site.install("nameless", PLUGIN.format(provides=()), summary=None)

    with pytest.raises(AssertionError, match="no summary"):
        suite_for("nameless").test_its_metadata_says_what_its_class_provides(tmp_path)


def test_a_plugin_that_is_off_and_not_imported_passes(site, tmp_path):
    site.install("absent", PLUGIN.format(provides=()))

    suite_for("absent").test_it_leaves_nothing_behind_when_it_is_off(tmp_path)


def test_a_plugin_that_another_one_imports_while_it_is_off_is_found(site, tmp_path):
    site.install("wanted", PLUGIN.format(provides=()))
    site.install("curious", "import powerstrip_wanted\n" + PLUGIN.format(provides=()))
    suite = suite_for("wanted", requires_config={"curious": True})

    with pytest.raises(AssertionError, match="the module powerstrip_wanted is imported"):
        suite.test_it_leaves_nothing_behind_when_it_is_off(tmp_path)


def test_a_plugin_that_notices_that_it_is_listed_is_found(site, tmp_path):
    """Nothing of a plugin that is off runs; a companion that looks for it would still be noticed."""
    site.install("listed", PLUGIN.format(provides=()))
    watching = """
import pathlib

from powerstrip import Plugin, PluginSettings, Interceptor, hookimpl


class Sample(Plugin[PluginSettings]):
    @hookimpl
    def register_interceptors(self):
        # A count that grows with each build of the process.
        Sample.builds = getattr(Sample, "builds", 0) + 1
        return [Interceptor()] * Sample.builds
"""
    site.install("watching", watching)
    suite = suite_for("listed", requires_config={"watching": True})

    with pytest.raises(AssertionError, match="the interceptors and middleware are others"):
        suite.test_it_leaves_nothing_behind_when_it_is_off(tmp_path)


def test_pytest_runs_the_suite_of_a_class_that_derives_from_it(site, tmp_path):
    site.install("whole", PLUGIN.format(provides=()))
    tests = "from powerstrip.testing import PluginConformance\n\n\nclass TestWhole(PluginConformance):\n"
    (tmp_path / "test_whole.py").write_text(f'{tests}    plugin = "whole"\n')

    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "test_whole.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    rules = [name for name in dir(PluginConformance) if name.startswith("test_")]
    assert f"{len(rules)} passed" in done.stdout, done.stdout
