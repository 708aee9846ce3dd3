"""The project checks of `scripts/` catch what they are for, and the project passes them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHECKS = ("check_imports", "check_size", "check_state", "check_text")

SIXTY_ONE_LINES = "def long_story():\n" + "    print()\n" * 60
HALF_LONG = "def a():\n" + "    print()\n" * 30 + "\n\ndef b():\n    print()\n"

BAD_SOURCES = [
    ("check_size", "big.py", "x = 1\n" * 401, "big.py:1: 401 lines, 400 are allowed"),
    ("check_size", "long.py", SIXTY_ONE_LINES, "long.py:1: long_story() has 61 lines, 60 are allowed"),
    (
        "check_size",
        "share.py",
        HALF_LONG,
        "share.py:1: 1 of 2 functions have 30 lines or more, 10% may: begin with a()",
    ),
    ("check_size", "utils.py", "", "utils.py:1: 'utils' says nothing about what is inside"),
    ("check_size", "_helpers.py", "", "_helpers.py:1: '_helpers' says nothing"),
    ("check_size", "common/thing.py", "", "common/thing.py:1: 'common' says nothing"),
    ("check_state", "a.py", "CACHE = {}\n", "a.py:1: CACHE is state at module level"),
    ("check_state", "a.py", "seen: list[int] = []\n", "a.py:1: seen is state"),
    ("check_state", "a.py", "NAMES = {name for name in 'abc'}\n", "a.py:1: NAMES is state"),
    ("check_state", "a.py", "PAIR = (1, [2])\n", "a.py:1: PAIR is state"),
    ("check_state", "a.py", "x = 1\nx += 1\n", "a.py:2: a module-level name is changed"),
    (
        "check_state",
        "a.py",
        "import queue\n\nJOBS = queue.Queue()\n",
        "a.py:3: JOBS is state at module level: what Queue() makes",
    ),
    ("check_state", "a.py", "if True:\n    CACHE = {}\n", "a.py:2: CACHE is state"),
    ("check_state", "a.py", "try:\n    x = 1\nexcept OSError:\n    CACHE = []\n", "a.py:4: CACHE is state"),
    (
        "check_state",
        "a.py",
        "class Cat:\n    def __init__(self):\n        self.age = 1\n\n\nTOM = Cat()\n",
        "a.py:6: TOM is state",
    ),
    ("check_state", "a.py", "x = 1\n\n\ndef f():\n    global x\n    x = 2\n", "a.py:5: `global` is state"),
    ("check_imports", "a.py", "def f():\n    import os\n\n    return os\n", "a.py:2: an import inside a function"),
    (
        "check_imports",
        "a.py",
        "def f():\n    import os  # noqa: PLC0415\n\n    return os\n",
        "a.py:2: an import inside",
    ),
]

GOOD_SOURCES = [
    ("check_size", "docstring.py", 'def f():\n    """' + "Long.\n" * 80 + '    """\n'),
    ("check_state", "a.py", "import re\n\nPATTERN = re.compile('a')\nNAMES = frozenset({'a'})\nPAIR = (1, 'b')\n"),
    ("check_state", "a.py", "from typing import Any, Callable\n\nCheck = Callable[[int], Any]\n__all__ = ['Check']\n"),
    ("check_state", "a.py", "from collections.abc import Mapping\n\nCODES: Mapping[str, int] = {'a': 1}\n"),
    ("check_state", "a.py", "class Always:\n    def __call__(self):\n        return True\n\n\nalways = Always()\n"),
    ("check_state", "a.py", "def f():\n    cache = {}\n    return cache\n"),
    ("check_imports", "a.py", "def f():\n    # heavy, and seldom needed\n    import os\n\n    return os\n"),
    ("check_imports", "a.py", "def f():\n    import os  # noqa: PLC0415 - heavy\n\n    return os\n"),
]

BAD_TEXTS = [
    ("TO" + "DO: later", "unfinished business"),
    ("see /wor" + "k/main/core", "a path of one machine"),
    ("written to /ho" + "me/alice/project", "a path of one machine"),
    ("https://py" + "pi.org/simple", "a registry's host"),
    ("this add" + "-on greets", "the word is plugin"),
    ("a white" + "list of hosts", "allowed"),
]


def run(check: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / f"{check}.py", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_source(root: Path, name: str, text: str) -> None:
    path = root / "core" / "src" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize(("check", "name", "text", "complaint"), BAD_SOURCES)
def test_a_bad_source_is_named_with_its_line(check: str, name: str, text: str, complaint: str, tmp_path: Path) -> None:
    write_source(tmp_path, name, text)

    result = run(check, tmp_path)

    assert f"core/src/{complaint}" in result.stdout
    assert result.returncode == 1


@pytest.mark.parametrize(("check", "name", "text"), GOOD_SOURCES)
def test_a_good_source_passes(check: str, name: str, text: str, tmp_path: Path) -> None:
    write_source(tmp_path, name, text)

    result = run(check, tmp_path)

    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize(("text", "complaint"), BAD_TEXTS)
def test_a_bad_line_of_any_text_file_is_named(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text(f"Fine.\n{text}\n")

    result = run("check_text", tmp_path)

    assert result.stdout.startswith("notes.md:2: ")
    assert complaint in result.stdout
    assert result.returncode == 1


def test_paths_of_the_api_and_files_that_are_no_text_pass(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("GET /users/me, /home, file:///run/secrets/key\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")

    result = run("check_text", tmp_path)

    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("check", CHECKS)
def test_the_project_passes(check: str) -> None:
    result = run(check, ROOT)

    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_every_check_script_is_tested_here() -> None:
    assert sorted(path.stem for path in (ROOT / "scripts").glob("check_*.py")) == list(CHECKS)
