"""A stranger's plugin, from its sources to its answers: a wheel, installed beside the core's into a clean environment.

Nothing of this checkout is on that environment's path. Third-party libraries are lent to it, so no index is asked.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import httpx2
import pytest

ROOT = Path(__file__).parent.parent
GREETER = ROOT / "examples" / "powerstrip-greeter"
PACKAGE = "powerstrip_greeter"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 15.0
# What Python prints of each module it imports, with PYTHONPROFILEIMPORTTIME set.
IMPORTED = re.compile(rf"^import time:.*\| +{PACKAGE}", re.MULTILINE)


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder to work in."""

    scripts: Path
    folder: Path

    def powerstrip(self, *arguments: str, config: str, code: int = 0) -> str:
        """What the installed command prints."""
        done = subprocess.run(
            [self.scripts / "powerstrip", *arguments, "--config", self.write(config)],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def serve(self, config: str) -> Iterator[tuple[str, Path]]:
        """The base URL of the installed command's server, and the file that tells which modules it imported."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = self.folder / f"serve-{port}.log"
        command = [self.scripts / "powerstrip", "serve", "--config", self.write(config), "--port", str(port)]
        variables = {**self.variables, "PYTHONPROFILEIMPORTTIME": "1"}
        with log.open("wb") as output:
            server = subprocess.Popen(command, cwd=self.folder, env=variables, stdout=output, stderr=output)
        try:
            wait_for(port, server, log)
            yield f"http://127.0.0.1:{port}", log
        finally:
            server.terminate()
            server.wait(STOP_TIMEOUT)

    def write(self, config: str) -> str:
        (self.folder / "config.yaml").write_text(config)
        return "config.yaml"

    @property
    def variables(self) -> dict[str, str]:
        return {"PATH": os.pathsep.join([str(self.scripts), os.environ["PATH"]]), "NO_COLOR": "1", "COLUMNS": "120"}


def wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on port {port}:\n{log.read_text()}")


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the core and of the greeter."""
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT / "core", GREETER)
    return folder


@pytest.fixture(scope="module")
def environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A new environment in which the two wheels are installed, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("published")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip("--python", venv / "bin" / "python", "install", "--no-index", "--no-deps", *wheels.glob("*.whl"))
    site_packages = next(venv.glob("lib/python*/site-packages"))
    (site_packages / "lent.pth").write_text(f"{lend_libraries(folder / 'lent')}\n")
    return Environment(venv / "bin", folder)


def lend_libraries(folder: Path) -> Path:
    """A folder of links to all libraries that are installed here, our own distributions left out."""
    folder.mkdir()
    for source in Path(sysconfig.get_path("purelib")).iterdir():
        if not source.name.startswith("powerstrip"):
            (folder / source.name).symlink_to(source)
    return folder


def test_the_wheel_tells_hosts_and_indexes_all_they_need(wheels: Path) -> None:
    with ZipFile(next(wheels.glob(f"{PACKAGE}-*.whl"))) as wheel:
        info = next(name for name in wheel.namelist() if name.endswith("METADATA")).rpartition("/")[0]
        metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
        files = {name for name in wheel.namelist() if not name.startswith(info)}

    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [re.match(r"[\w-]+", line)[0] for line in needed] == ["powerstrip"]  # type: ignore[index] - names match
    assert (metadata["Name"], metadata["Summary"]) != (None, None)
    assert f"[powerstrip.plugins]\ngreeter={PACKAGE}.plugin:Greeter" in entry_points
    assert {f"{PACKAGE}/py.typed", f"{PACKAGE}/plugin.py"} <= files
    assert {name.partition("/")[0] for name in files} == {PACKAGE}


def test_the_environment_holds_the_wheels_and_not_this_checkout(environment: Environment) -> None:
    code = f"import powerstrip, {PACKAGE} as greeter; print(powerstrip.__file__, greeter.__file__)"

    done = subprocess.run([environment.scripts / "python", "-c", code], capture_output=True, text=True, check=True)

    assert all(file.startswith(str(environment.folder)) for file in done.stdout.split())


def test_it_is_installed_and_off_until_it_is_listed(environment: Environment) -> None:
    (greeter,) = json.loads(environment.powerstrip("plugins", "--json", config="plugins: {}\n"))

    assert (greeter["name"], greeter["distribution"], greeter["state"]) == ("greeter", "powerstrip-greeter", "off")
    assert greeter["reason"] == "not listed in config.yaml"


def test_the_config_is_checked_against_its_settings(environment: Environment) -> None:
    config = "plugins:\n  greeter:\n    langauge: fr\n"

    (finding,) = json.loads(environment.powerstrip("check", "--json", config=config, code=1))

    assert (finding["plugin"], finding["line"], finding["column"]) == ("greeter", 3, 5)
    assert finding["hint"] == "did you mean 'language'?"


def test_once_it_is_on_it_is_in_the_routes_and_in_the_document(environment: Environment) -> None:
    config = "plugins: {greeter: on}\n"

    assert environment.powerstrip("check", "--strict", "--json", config=config).strip() == "[]"
    routes = json.loads(environment.powerstrip("routes", "--json", config=config))
    document = json.loads(environment.powerstrip("openapi", config=config))

    assert [(route["path"], route["access"]) for route in routes if route["plugin"] == "greeter"] == [
        ("/api/v1/greetings", "public"),
        ("/api/v1/greetings/{name}", "public"),
    ]
    assert document["paths"]["/api/v1/greetings/{name}"]["get"]["x-plugin"] == "greeter@0.1.0"


def test_once_it_is_on_it_answers(environment: Environment) -> None:
    with environment.serve("app: {docs: true}\nplugins:\n  greeter: {language: fr}\n") as (base_url, log):
        answer = httpx2.get(f"{base_url}/api/v1/greetings/Ada")
        document = httpx2.get(f"{base_url}/openapi.json")

    assert answer.json()["message"] in ("Bonjour, Ada!", "Bonsoir, Ada!")
    assert "/api/v1/greetings/{name}" in document.json()["paths"]
    assert IMPORTED.search(log.read_text())


def test_off_means_gone(environment: Environment) -> None:
    config = "app: {docs: true}\nplugins:\n  greeter: off\n"

    (greeter,) = json.loads(environment.powerstrip("plugins", "--json", config=config))
    with environment.serve(config) as (base_url, log):
        answer = httpx2.get(f"{base_url}/api/v1/greetings/Ada")
        document = httpx2.get(f"{base_url}/openapi.json")

    assert answer.status_code == 404
    assert "greet" not in document.text
    assert not IMPORTED.search(log.read_text())
    assert greeter["reason"] == "switched off at config.yaml:3:12"


@pytest.mark.parametrize("way", ["wheel", "editable"])
def test_it_is_installed_while_the_server_serves_and_answers_without_a_restart(
    environment: Environment, wheels: Path, way: str, tmp_path: Path
) -> None:
    python = environment.scripts / "python"
    sources = shutil.copytree(GREETER, tmp_path / "greeter")
    what = wheels.glob(f"{PACKAGE}-*.whl") if way == "wheel" else ["--no-build-isolation", "--editable", sources]
    pip("--python", python, "uninstall", "--yes", "powerstrip-greeter")
    with environment.serve("plugins: {}\n") as (base_url, log):
        before = httpx2.get(f"{base_url}/api/v1/greetings/Ada").status_code
        pip("--python", python, "install", "--no-index", "--no-deps", *what)
        environment.write("plugins: {greeter: on}\n")
        deadline = time.monotonic() + START_TIMEOUT
        while (answer := httpx2.get(f"{base_url}/api/v1/greetings/Ada")).status_code == 404:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    assert before == 404
    assert answer.status_code == 200
    assert "Ada" in answer.json()["message"]
