"""A served process reloads: by signal, by file, by command; several workers all together, or not at all."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from powerstrip.host.control import ask
from powerstrip.testing import ProcessFactory, ServedProcess

WILFUL = """
    import asyncio
    import os
    from contextlib import asynccontextmanager
    from pathlib import Path

    from fastapi import APIRouter
    from powerstrip import Plugin, PluginSettings, Routes, hookimpl

    class Settings(PluginSettings):
        word: str = "first"
        start: str = ""

    class Wilful(Plugin[Settings]):
        @hookimpl
        def register_routes(self):
            router = APIRouter()
            router.add_api_route("/word", self.word, responses={418: {"description": self.settings.word}})
            return [Routes(router, version=None)]

        async def word(self) -> list[str]:
            return [self.settings.word, str(os.getpid())]

        @hookimpl
        @asynccontextmanager
        async def lifespan(self, services):
            match self.settings.start.split():
                case ["fails"]:
                    raise RuntimeError("on purpose")
                case ["fails_in_one", flag]:
                    try:
                        Path(flag).touch(exist_ok=False)
                    except FileExistsError:
                        pass
                    else:
                        raise RuntimeError("on purpose, here only")
                case ["waits_for", flag]:
                    Path(f"{flag}.{os.getpid()}").touch()
                    while not Path(flag).exists():
                        await asyncio.sleep(0.01)
            yield
"""

LIMIT = 60.0


class Served:
    """A `powerstrip serve` whose config the test changes."""

    def __init__(self, process: ServedProcess, environ: dict[str, str]) -> None:
        self.process = process
        self._environ = environ

    def write(self, **settings: str) -> None:
        """Change the settings of the plugin, in one go, as editors do."""
        self.write_config({"wilful": settings or True})

    def write_config(self, plugins: dict[str, Any], **sections: Any) -> None:
        document = {**yaml.safe_load(self.process.config.read_text()), **sections, "plugins": plugins}
        draft = self.process.config.with_suffix(".draft")
        draft.write_text(json.dumps(document))
        draft.replace(self.process.config)

    def words(self, requests: int = 1) -> set[str]:
        return {self._word()[0] for _ in range(requests)}

    def pids(self, requests: int = 1) -> set[int]:
        return {int(self._word()[1]) for _ in range(requests)}

    def _word(self) -> list[str]:
        answer: list[str] = httpx2.get(f"{self.process.base_url}/word", timeout=LIMIT).raise_for_status().json()
        return answer

    def command(self, *line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "powerstrip", *line, "--config", str(self.process.config)],
            capture_output=True,
            text=True,
            env={**os.environ, **self._environ},
            timeout=LIMIT,
            check=False,
        )

    def reload(self) -> dict[str, Any]:
        return ask(self._control(), {"do": "reload"})

    def status(self) -> dict[str, Any]:
        return ask(self._control(), {"do": "status"})

    def _control(self) -> Path:
        return next(Path(self._environ["XDG_RUNTIME_DIR"]).glob("powerstrip/*.sock"))

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {LIMIT} s; the log says:\n{self.process.log}")


Serve = Callable[..., Any]


@pytest.fixture
def run() -> Iterator[Path]:
    """A runtime folder with a short name: the path of a socket may have a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="ps-") as folder:
        yield Path(folder)


@pytest.fixture
def serve(powerstrip_process: ProcessFactory, write_distribution, tmp_path: Path, run: Path) -> Serve:
    """Serve the plugin `wilful`: `with serve(workers=2) as served: ...`."""
    write_distribution(tmp_path / "lib", "powerstrip-wilful", {"wilful": WILFUL}, {"wilful": "wilful:Wilful"})
    environ = {"PYTHONPATH": str(tmp_path / "lib"), "XDG_RUNTIME_DIR": str(run)}

    @contextmanager
    def do(**server: Any) -> Iterator[Served]:
        server = {"reload": "signal", "drain_timeout": 1, **server}
        with powerstrip_process({"wilful": True}, environ=environ, server=server) as process:
            served = Served(process, environ)
            served.until(lambda: served.words() == {"first"})
            yield served

    return do


class TestOneProcess:
    def test_a_hangup_reloads(self, serve):
        with serve() as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)

            served.until(lambda: served.words() == {"second"})

    def test_a_change_of_the_file_reloads(self, serve):
        with serve(reload="watch") as served:
            served.write(word="second")

            served.until(lambda: served.words() == {"second"})

    def test_the_command_waits_for_the_reload_and_tells_what_became_of_each_plugin(self, serve):
        with serve() as served:
            served.write(word="second")
            planned = served.command("reload", "--plan")
            words = served.words()
            done = served.command("reload")

            assert (planned.returncode, words) == (0, {"first"})
            assert planned.stdout == (
                "generation 2 would serve\n  wilful  restarted     changed: word\n  changes GET /word: responses\n"
            )
            assert (done.returncode, served.words()) == (0, {"second"})
            assert done.stdout == "generation 2 serves\n  wilful  restarted     changed: word\n"

    def test_a_config_that_is_wrong_changes_nothing_and_is_explained(self, serve):
        with serve() as served:
            served.write(wrod="second")
            done = served.command("reload")

            assert done.returncode == 1
            assert "unknown key 'wrod'" in done.stderr
            assert "did you mean 'word'?" in done.stderr
            assert "generation 1 goes on" in done.stderr
            assert served.words() == {"first"}

    def test_what_is_printed_as_json_says_the_same(self, serve):
        with serve() as served:
            served.write(start="fails")
            failed = json.loads(served.command("reload", "--json").stdout)
            served.write(word="second")
            done = served.reload()

            assert (failed["ok"], failed["error"], failed["generation"]) == (False, "StartError", 1)
            assert (done["ok"], done["generation"]) == (True, 2)
            assert done["plan"]["plugins"] == [{"plugin": "wilful", "change": "restarted", "reason": "changed: word"}]

    def test_status_tells_the_generation_the_plugins_and_how_the_last_reload_ended(self, serve):
        with serve() as served:
            before = served.status()
            served.write(start="fails")
            served.reload()
            after = served.status()
            text = served.command("status").stdout

            assert (before["generation"], before["step"], before["last_reload"]) == (1, "serving", None)
            assert [entry["state"] for entry in before["plugins"]] == ["running"]
            assert after["last_reload"]["reason"] == "plugin 'wilful' failed at start: RuntimeError: on purpose"
            assert "failed, the generation before goes on: plugin 'wilful' failed at start" in text

    def test_what_only_a_restart_can_change_is_told_and_the_rest_is_applied(self, serve):
        with serve() as served:
            server = yaml.safe_load(served.process.config.read_text())["server"]
            served.write_config({"wilful": {"word": "second"}}, server={**server, "host": "127.0.0.2"})
            done = served.reload()

            assert done["plan"]["restart_needed"] == ["server.host"]
            assert served.words() == {"second"}

    def test_logging_changes_with_a_reload(self, serve):
        with serve() as served:
            served.write_config({"wilful": {"word": "second"}}, logging={"level": "debug"})
            served.reload()
            served.write(word="third")
            served.reload()

            assert "plugin started" in served.process.log

    def test_with_reload_off_nothing_reloads(self, serve):
        with serve(reload="off") as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: "server.reload is off" in served.process.log)

            assert (served.reload()["ok"], served.words()) == (False, {"first"})

    def test_a_stop_in_the_middle_of_a_reload_ends_the_process_cleanly(self, serve, tmp_path, run):
        with serve() as served:
            served.write(start=f"waits_for {tmp_path / 'never'}")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: list(tmp_path.glob("never.*")))

            assert served.process.stop() == 0
            assert list((run / "powerstrip").iterdir()) == []

    def test_no_server_is_told_as_such(self, serve):
        with serve() as served:
            served.process.stop()
            done = served.command("status")

            assert done.returncode == 1
            assert "no server of" in done.stderr

    def test_a_plugin_that_is_installed_meanwhile_can_be_switched_on(self, serve, write_distribution, tmp_path):
        with serve() as served:
            source = WILFUL.replace("/word", "/newcomer").replace("Wilful", "Newcomer")
            write_distribution(
                tmp_path / "lib", "powerstrip-new", {"newcomer": source}, {"newcomer": "newcomer:Newcomer"}
            )
            served.write_config({"wilful": True, "newcomer": True})

            assert served.reload()["plan"]["routes_gained"] == ["GET /newcomer"]
            assert httpx2.get(f"{served.process.base_url}/newcomer").status_code == 200

    def test_a_plugin_that_is_upgraded_meanwhile_runs_on_as_it_was_and_that_is_told(
        self, serve, write_distribution, tmp_path
    ):
        with serve() as served:
            for path in (tmp_path / "lib" / "powerstrip_wilful-1.0.dist-info").iterdir():
                path.unlink()
            (tmp_path / "lib" / "powerstrip_wilful-1.0.dist-info").rmdir()
            source = WILFUL.replace("word: str", "text: str")
            write_distribution(
                tmp_path / "lib", "powerstrip-wilful", {"wilful": source}, {"wilful": "wilful:Wilful"}, version="2.0"
            )
            served.write(word="second")
            done = served.reload()

            assert done["plan"]["restart_needed"] == ["plugin 'wilful' was upgraded: 1.0 -> 2.0"]
            assert served.words() == {"second"}


class TestWorkers:
    def test_all_change_together(self, serve):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second")

            assert served.reload()["generation"] == 2
            assert served.words(20) == {"second"}
            assert [worker["generation"] for worker in served.status()["workers"]] == [2, 2]

    def test_none_changes_when_one_can_not(self, serve, tmp_path):
        with serve(workers=2) as served:
            served.until(lambda: len(served.pids(10)) == 2)
            served.write(word="second", start=f"fails_in_one {tmp_path / 'flag'}")
            done = served.reload()

            assert not done["ok"]
            assert "on purpose, here only" in done["reason"]
            assert served.words(20) == {"first"}
            assert [worker["generation"] for worker in served.status()["workers"]] == [1, 1]

            again = served.reload()  # the flag is there: now all can

            assert (again["ok"], served.words(20)) == (True, {"second"})

    def test_a_hangup_reloads_them(self, serve):
        with serve(workers=2) as served:
            served.write(word="second")
            served.process.process.send_signal(signal.SIGHUP)

            served.until(lambda: served.words(10) == {"second"})

    def test_a_worker_that_was_killed_comes_back_with_what_the_others_have(self, serve):
        with serve(workers=2) as served:
            first = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.write(word="second")
            served.reload()
            served.write(word="not reloaded yet")
            killed = next(iter(first))
            os.kill(killed, signal.SIGKILL)

            workers = served.until(lambda: len(found := served.status()["workers"]) == 2 and found)

            assert killed not in {worker["pid"] for worker in workers}
            served.until(lambda: all(worker["generation"] == 2 for worker in served.status()["workers"]))
            assert served.words(20) == {"second"}

    def test_workers_that_came_back_know_what_the_server_was_started_with(self, serve):
        with serve(workers=2) as served:
            first = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            server = yaml.safe_load(served.process.config.read_text())["server"]
            served.write_config({"wilful": {"word": "second"}}, server={**server, "host": "127.0.0.2"})
            assert served.reload()["plan"]["restart_needed"] == ["server.host"]
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            served.until(
                lambda: len(found := served.status()["workers"]) == 2 and not first & {w["pid"] for w in found}
            )

            assert served.reload()["plan"]["restart_needed"] == ["server.host"]

    def test_a_worker_that_is_killed_while_all_prepare_does_not_keep_the_others(self, serve, tmp_path):
        with serve(workers=2) as served:
            pids = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.write(word="second", start=f"waits_for {tmp_path / 'go'}")
            served.process.process.send_signal(signal.SIGHUP)
            served.until(lambda: len(list(tmp_path.glob("go.*"))) == 2)
            killed = next(iter(pids))
            os.kill(killed, signal.SIGKILL)
            (tmp_path / "go").touch()

            served.until(lambda: served.words(20) == {"second"} and len(served.pids(10)) == 2)
            assert killed not in served.pids(10)

    def test_they_stop_when_the_process_that_watches_over_them_is_killed(self, serve):
        with serve(workers=2) as served:
            pids = served.until(lambda: len(found := served.pids(10)) == 2 and found)
            served.process.process.kill()
            served.process.process.wait()

            served.until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
