"""ARCHITECTURE.md tells of functions that exist, and of the layers that are checked."""

import ast
import configparser
import re
from pathlib import Path

import powerstrip

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src" / "powerstrip"
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w/]+\.py): ([\w.]+)(?:\(\))?`")
STEPS = ("load", "discover", "compose", "build", "start", "serve", "drain", "stop")


def defined_in(path: Path) -> set[str]:
    """The classes, functions and methods of a module, as `name` and `Class.name`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            inner = (child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {node.name, *(f"{node.name}.{child.name}" for child in inner)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def test_every_function_of_the_two_walks_exists() -> None:
    named = NAMED.findall(TEXT)

    assert len(named) > 15
    assert [f"{path}: {name}" for path, name in named if name not in defined_in(CORE / path)] == []


def test_the_steps_are_told_in_their_order() -> None:
    told = [word for word in re.findall(r"\*\*(\w+)\*\*", TEXT) if word in STEPS]

    assert tuple(told) == STEPS


def test_the_layers_are_those_that_are_checked() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    section = rules["importlinter:contract:core"]["layers"].split()

    assert " > ".join(section).removeprefix("__main__ > ") in TEXT
    for module in re.findall(r"\w+", rules["importlinter:contract:host"]["layers"]):
        assert (CORE / "host" / f"{module}.py").exists() or (CORE / "host" / module).is_dir(), module


def test_every_stage_is_told() -> None:
    assert [stage.name for stage in powerstrip.Stage if f"`{stage.name}`" not in TEXT] == []
