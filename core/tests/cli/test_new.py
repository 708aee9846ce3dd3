"""`powerstrip new`: what it writes is a plugin that its author could publish as it is."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_new_writes_a_distribution_with_package_readme_and_tests(run, folder: Path):
    result = run("new", "weather")

    assert result.exit_code == 0
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert written == [
        "powerstrip-weather/README.md",
        "powerstrip-weather/pyproject.toml",
        "powerstrip-weather/src/powerstrip_weather/__init__.py",
        "powerstrip-weather/src/powerstrip_weather/plugin.py",
        "powerstrip-weather/src/powerstrip_weather/py.typed",
        "powerstrip-weather/src/powerstrip_weather/routes.py",
        "powerstrip-weather/src/powerstrip_weather/schemas.py",
        "powerstrip-weather/src/powerstrip_weather/service.py",
        "powerstrip-weather/src/powerstrip_weather/settings.py",
        "powerstrip-weather/tests/test_weather.py",
    ]
    assert all(path in result.stdout for path in written)


@pytest.mark.parametrize("typed", ["air-quality", "air_quality"])
def test_a_name_of_several_words_is_kebab_in_the_distribution_and_snake_in_python(run, folder: Path, typed: str):
    assert run("new", typed, "--output", "made/here").exit_code == 0

    root = folder / "made" / "here" / "powerstrip-air-quality"
    assert 'air_quality = "powerstrip_air_quality.plugin:AirQualityPlugin"' in (root / "pyproject.toml").read_text()
    assert (root / "tests" / "test_air_quality.py").is_file()


@pytest.mark.parametrize("name", ["Weather", "9lives", "a__b", "tail_", "-lead", "../up", "füße", "", "a" * 31, "a b"])
def test_a_name_that_no_plugin_can_have_is_a_usage_error(run, folder: Path, name: str):
    result = run("new", "--", name)

    assert result.exit_code == 2
    assert "is no plugin name" in result.stderr
    assert not any(folder.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("class", "is a word of Python's own"),
        ("match", "is a word of Python's own"),
        ("plugins", "is a name of the core's own"),
        ("testing", "is a name of the core's own"),
        ("powerstrip-weather", "leave out the 'powerstrip-'"),
        ("health", "exists already"),  # a first-party plugin, installed or not
    ],
)
def test_a_name_with_another_meaning_is_refused_with_the_reason(run, folder: Path, name: str, reason: str):
    result = run("new", name)

    assert result.exit_code == 2
    assert reason in result.stderr
    assert not any(folder.iterdir())


def test_the_name_of_an_installed_plugin_is_refused(run, install):
    install("lighthouse")

    result = run("new", "lighthouse")

    assert result.exit_code == 2
    assert "a plugin 'lighthouse' exists already" in result.stderr


def test_an_existing_folder_is_never_written_to(run, folder: Path):
    (folder / "powerstrip-weather").mkdir()

    result = run("new", "weather")

    assert result.exit_code == 1
    assert result.stderr == "error: powerstrip-weather exists already: nothing was written\n"
    assert not any((folder / "powerstrip-weather").iterdir())


def test_a_folder_that_cannot_be_made_is_said_without_a_traceback(run, folder: Path):
    (folder / "file").write_text("")

    result = run("new", "weather", "--output", "file/below")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: file/below")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["a", "weather", "as-long-a-name-as-one-can-give"])
def test_what_is_written_is_formatted_and_free_of_complaints_by_ruff(run, folder: Path, name: str):
    run("new", name)

    check_with("ruff", "check", ".", root=folder / f"powerstrip-{name}")
    check_with("ruff", "format", "--check", ".", root=folder / f"powerstrip-{name}")


def test_what_is_written_is_typed_strictly(run, folder: Path):
    run("new", "weather")

    check_with("mypy", "src", "tests", root=folder / "powerstrip-weather")


def check_with(*tool: str, root: Path) -> None:
    checked = subprocess.run([sys.executable, "-m", *tool], cwd=root, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
