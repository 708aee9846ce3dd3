"""Every block of the documentation works.

A block's first line says what is done with it:

- ```` ```console ````: each line after `$ ` is run by a shell, and prints the lines below it; `...` stands for
  anything, on a line of its own for any number of lines. `exit=1` says that the last command fails so. A `serve`
  command and one with ` &` at its end go on in the background, until `kill $(jobs -p)`; `NAME=$(...)` is known to the
  commands that follow.
- ```` ```yaml file=NAME ````, ```` ```python file=NAME ````: is written to that file for the blocks below it.
- ```` ```python ````: is run. ```` ```yaml ````: is a config that loads.

Blocks of one document share an empty folder and an environment of their own, in which `pip install` is real.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from powerstrip.host.config.config import load_config

ROOT = Path(__file__).parent.parent
PATTERNS = ("*.md", "docs/*.md", "docs/decisions/*.md", "core/*.md", "plugins/*/*.md", "examples/*/*.md")
PAGES = sorted(path.relative_to(ROOT).as_posix() for pattern in PATTERNS for path in ROOT.glob(pattern))
BLOCK = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]+)\n(?P<text>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)
# Read by people only: output, shell commands that leave the machine, drawings.
NOT_RUN = {"text", "sh", "json", "toml", "http", "dockerfile", "ini", "js", "nginx"}
DOCUMENTED_PORT = "8000"
VARIABLE = re.compile(r"([A-Z]+)=\$\(")
START_TIMEOUT = 60.0


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its options (`file=`, `exit=`), its text and where it stands."""

    language: str
    options: dict[str, str]
    text: str
    line: int


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = []
    for found in BLOCK.finditer(text):
        language, *options = found["info"].split()
        line = text.count("\n", 0, found.start()) + 1
        blocks.append(Block(language, dict(option.split("=", 1) for option in options), found["text"], line))
    return blocks


@dataclass
class Session:
    """A reader who follows one document from top to bottom."""

    folder: Path
    port: str
    environment: dict[str, str]
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    jobs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        if "file" in block.options:
            path = self.folder / block.options["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            self.type_in(block)
        elif block.language == "python":
            self.run_python(block.text)
        elif block.language == "yaml":
            path = self.folder / "block.yaml"
            path.write_text(block.text, encoding="utf-8")
            load_config([path], environ={})
        else:
            assert block.language in NOT_RUN, f"nobody knows how to run a block of {block.language}"

    def type_in(self, block: Block) -> None:
        commands = [command_in(part) for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE) if part]
        for number, (command, expected) in enumerate(commands, start=1):
            code = int(block.options.get("exit", "0")) if number == len(commands) else 0
            output, actual = self.run(command.replace(DOCUMENTED_PORT, self.port))
            pattern = as_pattern(expected.replace(DOCUMENTED_PORT, self.port))
            if actual != code or not re.fullmatch(pattern, f"{output.strip()}\n", re.DOTALL):
                raise AssertionError(f"exit code {actual} of\n$ {command}\n{output}")

    def run(self, command: str) -> tuple[str, int]:
        """What a command prints, and its exit code."""
        is_job = command.endswith(" &")
        command = command.removesuffix(" &")
        if command.startswith("make "):
            # Here and not where it is written, where a reader may keep data; and what it installs is there already.
            scripts = Path(self.environment["HOME"], "bin")
            command = command.replace("make ", f"make -f {ROOT / 'Makefile'} BIN={scripts} -o .venv/.installed ", 1)
        if re.match(r"(make|powerstrip)\b.* serve\b", command):
            return self.serve(command), 0
        if is_job:
            return self.begin(command), 0
        if command == "kill $(jobs -p)":
            return end(self.jobs), 0
        if variable := VARIABLE.match(command):
            command = f'{command}\nprintf %s "${variable[1]}"'
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if variable:
            self.environment[variable[1]] = done.stdout
            return done.stderr, done.returncode
        return done.stdout + done.stderr, done.returncode

    def serve(self, command: str) -> str:
        self.stop()
        server = subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        self.servers.append(server)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and server.poll() is None:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", int(self.port))) == 0:
                    return ""
            time.sleep(0.05)
        raise AssertionError(f"$ {command}\ndid not listen on port {self.port} within {START_TIMEOUT} s")

    def begin(self, command: str) -> str:
        job = subprocess.Popen(
            command, shell=True, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        self.jobs.append(job)
        return ""

    def stop(self) -> None:
        end(self.jobs)
        end(self.servers)

    def run_python(self, text: str) -> None:
        done = subprocess.run(
            ["python", "-c", text], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def end(processes: list[subprocess.Popen[bytes]]) -> str:
    while processes:
        process = processes.pop()
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(START_TIMEOUT)
    return ""


def command_in(text: str) -> tuple[str, str]:
    """The command, which goes on after a backslash and within quotes, and what it prints."""
    lines = text.splitlines(keepends=True)
    for number in range(1, len(lines)):
        command = "".join(lines[:number]).rstrip("\n")
        if not command.endswith("\\") and is_closed(command):
            return command, "".join(lines[number:])
    return text.rstrip("\n"), ""


def is_closed(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def as_pattern(expected: str) -> str:
    lines = expected.strip().split("\n") if expected.strip() else ["..."]
    return "".join("(?:.*\n)?" if line == "..." else f"{_line_pattern(line)}\n" for line in lines)


def _line_pattern(line: str) -> str:
    return re.escape(line).replace(re.escape("..."), ".*")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    folder = tmp_path / "folder"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    session = Session(folder, port, environment_in(tmp_path / "venv", port))
    yield session
    session.stop()


def environment_in(venv: Path, port: str) -> dict[str, str]:
    """The variables of a virtual environment that sees all that is installed here and can be installed into."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    scripts = venv / "bin"
    site_packages = next(venv.glob("lib/python*/site-packages"))
    here = sysconfig.get_path("purelib")
    (site_packages / "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for name in ("pip", "powerstrip", "pytest"):
        original = Path(sysconfig.get_path("scripts"), name).read_text()
        script = scripts / name
        script.write_text(re.sub(r"\A#!.*", f"#!{scripts / 'python'}", original))
        script.chmod(0o755)
    if shutil.which("curl") is None:
        stand_in = scripts / "curl"
        stand_in.write_text(f"#!{scripts / 'python'}\n" + (ROOT / "tests/curl.py").read_text(encoding="utf-8"))
        stand_in.chmod(0o755)
    (venv / ".curlrc").write_text("no-progress-meter\n")  # as on a terminal
    return {
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "HOME": str(venv),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "POWERSTRIP__SERVER__PORT": port,
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the wrong way round: 0 means no isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.mark.timeout(600)  # a page may install a plugin and start servers by the dozen
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_works(page: str, session: Session) -> None:
    for folder in ("config", "benchmarks/results"):
        shutil.copytree(ROOT / folder, session.folder / folder)
    for block in blocks_of(page):
        try:
            session.follow(block)
        except Exception as error:
            raise AssertionError(f"{page}:{block.line}: {error}") from error


def test_every_link_to_a_file_leads_somewhere() -> None:
    pages = [ROOT / page for page in PAGES] + list(ROOT.glob("docs/reference/*.md"))
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert dead == []
