"""What the distributions may know of one another, and that the lists which say so are complete."""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core"
FIRST_PARTY = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PLUGINS = FIRST_PARTY + sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))
PIN = re.compile(r"[a-z0-9-]+==[\w.!+-]+")
# One vocabulary: whoever opens an unknown plugin knows where to look. A new name is discussed, then added.
FILE_NAMES = {
    "plugin",
    "settings",
    "routes",
    "schemas",
    "service",
    "interceptors",
    "middleware",
    "domain",
    "errors",
} | {
    "models",
    "storage",
    "commands",
    "tasks",
    "sockets",
    "migrations",
    "__init__",
}


def further_names(plugin: str) -> set[str]:
    """The names of a plugin that has a contract of its own, because it has more to tell apart than most."""
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    layers = rules.get(f"importlinter:contract:inside-{plugin}", "layers", fallback="")
    return set(re.findall(r"\w+", layers))


each_plugin = pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)


def project_of(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def package_of(folder: Path) -> str:
    return next((folder / "src").glob("*/__init__.py")).parent.name


def imports_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each module that the Python files below a folder import, type-only imports included."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module


def needed_by(project: dict[str, Any]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in project.get("dependencies", [])}


def needed_by_extras(project: dict[str, Any]) -> set[str]:
    lines = [line for extra in project.get("optional-dependencies", {}).values() for line in extra]
    return needed_by({"dependencies": lines})


@each_plugin
def test_a_plugin_imports_only_the_contract(folder: Path) -> None:
    inside = [f"{path.name}: {name}" for path, name in imports_of(folder / "src") if name.startswith("powerstrip.")]

    assert inside == []


@each_plugin
def test_a_plugins_tests_import_only_the_contract_and_the_test_kit(folder: Path) -> None:
    allowed = ("powerstrip.testing",)
    inside = [
        f"{path.name}: {name}"
        for path, name in imports_of(folder / "tests")
        if name.startswith("powerstrip.") and not name.startswith(allowed)
    ]

    assert inside == []


@each_plugin
def test_a_plugin_imports_another_only_if_its_metadata_names_it(folder: Path) -> None:
    imported = {name.partition(".")[0] for _, name in imports_of(folder / "src") if name.startswith("powerstrip_")}
    others = {canonicalize_name(package) for package in imported - {package_of(folder)}}

    project = project_of(folder)
    assert others <= needed_by(project) | needed_by_extras(project)


def test_the_core_names_no_plugin_outside_its_extras() -> None:
    imported = {name for _, name in imports_of(CORE / "src") if name.startswith("powerstrip_")}

    assert imported == set()
    assert not any(name.startswith("powerstrip-") for name in needed_by(project_of(CORE)))


def test_the_extra_standard_is_all_first_party_plugins() -> None:
    standard = project_of(CORE)["optional-dependencies"]["standard"]

    assert sorted(standard) == [project_of(folder)["name"] for folder in FIRST_PARTY]


@each_plugin
def test_one_word_names_a_plugin_everywhere(folder: Path) -> None:
    name = folder.name.removeprefix("powerstrip-").replace("-", "_")
    project = project_of(folder)

    assert project["name"] == f"powerstrip-{name.replace('_', '-')}"
    assert list(project["entry-points"]["powerstrip.plugins"]) == [name]
    assert package_of(folder) == f"powerstrip_{name}"


@each_plugin
def test_a_plugins_files_have_the_names_that_readers_look_for(folder: Path) -> None:
    package = folder / "src" / package_of(folder)
    names = {path.relative_to(package).parts[0].removesuffix(".py") for path in package.rglob("*.py")}

    assert names - FILE_NAMES - further_names(folder.name) == set()
    assert "plugin" in names


def test_the_import_rules_know_every_package() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    known = rules["importlinter"]["root_packages"].split()

    assert known == ["powerstrip", *map(package_of, PLUGINS)]


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line and not line.startswith("#") and not PIN.fullmatch(line)] == []


def test_everything_that_is_named_anywhere_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    named: set[str] = set()
    for folder in (CORE, *PLUGINS):
        named |= needed_by(project_of(folder)) | needed_by_extras(project_of(folder))
    for path in ROOT.glob("requirements-*.txt"):
        listed = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        named |= needed_by({"dependencies": [line for line in listed if line]})
    ours = {canonicalize_name(project_of(folder)["name"]) for folder in (CORE, *PLUGINS)}

    assert named - pinned - ours == set()
