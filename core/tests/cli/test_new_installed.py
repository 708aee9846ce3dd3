"""What `powerstrip new` wrote, built and installed beside the core as a third party's plugin is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PATH = "/api/v1/open-air/{name}"


def call(*line: str, cwd: Path, **environ: str) -> str:
    """Runs a Python module as a command and gives what it printed."""
    env = {**os.environ, **environ}
    command = [sys.executable, "-m", *line]
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new plugin."""
    folder = tmp_path_factory.mktemp("written")
    call("powerstrip", "new", "open-air", cwd=folder)
    return folder / "powerstrip-open-air"


@pytest.fixture(scope="module")
def built(written: Path) -> Path:
    """The folder that pip installed it into, without asking a registry."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    call("pip", "install", *options, "--target", "installed", str(written), cwd=written.parent)
    return written.parent / "installed"


@pytest.fixture
def installed(built: Path, site: Path) -> None:
    """It can be imported in this process, and is forgotten afterwards."""
    for path in built.iterdir():
        (site / path.name).symlink_to(path)


def test_its_own_tests_pass(written: Path, built: Path):
    summary = call("pytest", "-q", "-p", "no:cacheprovider", cwd=written, PYTHONPATH=str(built))

    assert " passed" in summary
    assert "failed" not in summary


@pytest.mark.usefixtures("installed")
def test_switched_on_it_answers_and_stands_in_the_openapi_document(powerstrip_client):
    with powerstrip_client({"open_air": True}, app={"docs": True}) as client:
        answer = client.get("/api/v1/open-air/Ada")
        document = client.get("/openapi.json").json()

    assert answer.json() == {"message": "Hello, Ada!"}
    assert document["paths"][PATH]["get"]["x-plugin"] == "open_air@0.1.0"


@pytest.mark.usefixtures("installed")
def test_switched_on_it_satisfies_the_strict_check(run, write_config):
    write_config("plugins: {open_air: {greeting: Ahoy}}")

    result = run("check", "--strict")

    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("installed")
def test_switched_off_nothing_is_left_of_it_but_the_reason(run, write_config, powerstrip_client):
    write_config("plugins: {open_air: off}")

    with powerstrip_client({"open_air": False}, app={"docs": True}) as client:
        assert client.get("/api/v1/open-air/Ada").status_code == 404
        assert PATH not in client.get("/openapi.json").json()["paths"]
    states = {state["name"]: state for state in json.loads(run("plugins", "--json").stdout)}

    assert (states["open_air"]["state"], states["open_air"]["version"]) == ("off", "0.1.0")
    assert states["open_air"]["reason"] == "switched off at config/config.yaml:1:21"
    assert not [name for name in sys.modules if name.startswith("powerstrip_open_air")]
