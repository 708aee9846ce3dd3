"""What plugin authors import is exactly what is promised."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import powerstrip
from powerstrip import contract

ROOT = Path(__file__).parent.parent
PLUGIN_AUTHORS = ROOT / "docs" / "plugin-authors.md"
# The one export that is no part of the contract: it is the host's.
HOST = {"create_app"}
HEAVY = ("powerstrip.host", "powerstrip.cli", "fastapi", "pydantic", "starlette", "typer", "rich", "uvicorn")


def contract_modules() -> list[str]:
    return [f"{contract.__name__}.{module.name}" for module in pkgutil.iter_modules(contract.__path__)]


def test_all_names_exactly_what_can_be_seen() -> None:
    modules = {name for name, value in vars(contract).items() if type(value) is type(sys)}
    visible = {name for name in vars(contract) if not name.startswith("_")} - modules

    assert powerstrip.__all__ == sorted(visible | HOST)


def test_the_list_is_sorted_and_every_name_can_be_had() -> None:
    assert [name for name in powerstrip.__all__ if not hasattr(powerstrip, name)] == []
    assert contract.__all__ == sorted(contract.__all__)


def test_an_unknown_name_is_refused_as_python_does() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from powerstrip import nonsense"], capture_output=True, text=True, check=False
    )

    assert "cannot import name 'nonsense' from 'powerstrip'" in result.stderr


def test_importing_powerstrip_imports_no_library_no_host_and_no_command_line() -> None:
    code = f"import sys, powerstrip; print([name for name in sys.modules if name.startswith({HEAVY})])"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "[]\n"


def test_every_public_class_and_function_of_the_contract_is_explained() -> None:
    """A problem's meaning is its status and message; everything else has a docstring."""
    silent = []
    for name in contract_modules():
        module = importlib.import_module(name)
        for value in vars(module).values():
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            public = value.__module__ == name and not value.__name__.startswith("_")
            if public and not is_problem(value) and not (value.__doc__ or "").strip():
                silent.append(f"{name}.{value.__name__}")

    assert silent == []


def is_problem(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, powerstrip.Problem)


def test_the_contract_is_the_only_place_with_hookspecs_and_hooks_is_its_only_file() -> None:
    declaring = [
        path.relative_to(ROOT / "core/src/powerstrip").as_posix()
        for path in (ROOT / "core" / "src").rglob("*.py")
        if any(decorates_with(node, "hookspec") for node in ast.walk(ast.parse(path.read_text())))
    ]

    assert declaring == ["contract/hooks.py"]


def decorates_with(node: ast.AST, name: str) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
    return any(isinstance(decorator, ast.Name) and decorator.id == name for decorator in decorators)


def test_every_public_name_is_in_the_guide_for_plugin_authors() -> None:
    text = PLUGIN_AUTHORS.read_text(encoding="utf-8")

    assert [name for name in powerstrip.__all__ if not re.search(rf"\b{name}\b", text)] == []
