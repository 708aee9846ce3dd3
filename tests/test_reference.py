"""docs/reference is what the code says."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import powerstrip
from powerstrip.contract.hooks import Hooks

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"


def test_every_page_is_fresh() -> None:
    command = [sys.executable, ROOT / "scripts" / "generate_reference.py", "--check"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.stdout, result.returncode) == ("", 0), result.stderr


def test_every_hook_is_there_with_its_exact_arguments_in_the_order_of_calls() -> None:
    told = re.findall(r"^## `(\w+)\(([^)]*)\)", (FOLDER / "hooks.md").read_text(encoding="utf-8"), re.MULTILINE)
    hooks = {name: hook for name, hook in vars(Hooks).items() if inspect.isfunction(hook)}

    assert told == [(name, ", ".join(inspect.signature(hook).parameters)) for name, hook in hooks.items()]


def test_every_problem_is_there_with_its_status() -> None:
    text = (FOLDER / "problems.md").read_text(encoding="utf-8")
    problems = [value for value in vars(powerstrip).values() if inspect.isclass(value)]

    for problem in problems:
        if issubclass(problem, powerstrip.Problem) and problem is not powerstrip.Problem:
            assert f"| `{problem.type}` | {problem.status} |" in text
