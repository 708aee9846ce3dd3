"""The command line as a whole: versions, help, failures, and what a terminal gets."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import powerstrip

COMMAND = Path(sys.executable).with_name("powerstrip")


def test_the_installed_command_tells_its_version():
    told = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)

    assert told.stdout == f"powerstrip {powerstrip.__version__}\n"


def test_the_module_is_the_same_command():
    line = [sys.executable, "-m", "powerstrip", "--version"]

    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.startswith("powerstrip ")


def test_the_shells_completion_knows_the_commands_and_imports_no_plugin(folder: Path, write_config):
    write_config("plugins: {lamp: on}")  # not installed: looking for its commands would fail
    environ = {**os.environ, "_POWERSTRIP_COMPLETE": "complete_bash", "COMP_WORDS": "powerstrip pl", "COMP_CWORD": "1"}

    completed = subprocess.run([COMMAND], cwd=folder, env=environ, capture_output=True, text=True, check=False)

    assert completed.stdout.split() == ["plugins"]
    assert not completed.stderr


def test_without_a_command_it_shows_what_there_is_as_wrong_usage(run):
    result = run()

    assert result.exit_code == 2
    assert "explain" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["check"],
        ["plugins"],
        ["routes"],
        ["explain"],
        ["config", "show"],
        ["config", "schema"],
        ["openapi"],
    ],
)
def test_every_command_that_reads_a_config_takes_the_same_options_for_it(run, command):
    help_text = run(*command, "--help").stdout

    assert "--config FILE" in help_text
    assert "--set KEY=VALUE" in help_text


def test_control_characters_of_others_reach_no_terminal(run, write_config):
    write_config('app: {title: "\\e[31mred\\e[0m"}')

    assert "\x1b" not in run("config", "show").stdout
    assert r"\x1b[31mred" in run("config", "show").stdout


def test_json_is_ascii_whatever_the_values(run, write_config):
    write_config('app: {title: "Gr\\u00fc\\u00dfe\\u009b"}')

    answer = run("config", "show", "--json").stdout

    assert answer.isascii()
    assert json.loads(answer)["app.title"]["value"] == "Grüße\x9b"


def test_a_failure_of_the_host_itself_is_one_line_and_exits_with_1(run, write_config, install):
    code = """
    from fastapi import APIRouter
    from powerstrip import Routes, hookimpl

    router = APIRouter()
    router.add_api_route("/lamp", lambda: None)

    class Strange(Plain):
        __doc__ = 42

        @hookimpl
        def register_routes(self):
            return [Routes(router)]
    """
    install("lamp", code)
    write_config("plugins: {lamp: on}")

    result = run("openapi")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def on_terminal(folder: Path, **environ: str) -> str:
    """What a terminal gets of `powerstrip plugins`."""
    (folder / "config.yaml").write_text("plugins: {}")
    ours, theirs = pty.openpty()
    line = [COMMAND, "plugins", "--config", "config.yaml"]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", **environ}
    with subprocess.Popen(line, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return written.decode()


def test_a_terminal_gets_a_styled_table(folder: Path):
    assert "\x1b[1m" in on_terminal(folder, NO_COLOR="")


def test_no_color_makes_it_plain_on_a_terminal_too(folder: Path):
    written = on_terminal(folder, NO_COLOR="1")

    assert "\x1b" not in written
    assert "NAME" in written
