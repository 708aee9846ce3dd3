"""Budgets: functions fit on a screen, files can be read in one go, and no name is a drawer for everything."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from sources import Complaint, Module, report, source_modules

LONGEST_FUNCTION = 60
USUAL_FUNCTION = 30
USUAL_SHARE = 0.9
LONGEST_FILE = 400
# A module is named for what it holds; these names hold anything.
BANNED_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "shared", "tools", "util", "utils"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(root: Path) -> Iterator[Complaint]:
    modules = source_modules(root)
    for module in modules:
        yield from _file(module)
        yield from _functions_in(module)
    yield from _share(modules)


def _file(module: Module) -> Iterator[Complaint]:
    if len(module.lines) > LONGEST_FILE:
        message = f"{len(module.lines)} lines, {LONGEST_FILE} are allowed: split it by what it does"
        yield Complaint(module.path, 1, message)
    for name in (*module.path.parts[:-1], module.path.stem):
        if name.strip("_") in BANNED_NAMES:
            yield Complaint(module.path, 1, f"'{name}' says nothing about what is inside: name it for what it holds")


def _functions_in(module: Module) -> Iterator[Complaint]:
    for function in _functions(module):
        length = _length(function)
        if length > LONGEST_FUNCTION:
            message = f"{function.name}() has {length} lines, {LONGEST_FUNCTION} are allowed: give its parts names"
            yield Complaint(module.path, function.lineno, message)


def _share(modules: list[Module]) -> Iterator[Complaint]:
    """One complaint if too many functions of the whole project are longer than usual."""
    lengths = [(_length(function), module, function) for module in modules for function in _functions(module)]
    long = sorted((entry for entry in lengths if entry[0] >= USUAL_FUNCTION), key=lambda entry: -entry[0])
    if len(long) > len(lengths) * (1 - USUAL_SHARE):
        _, module, function = long[0]
        share = f"{len(long)} of {len(lengths)} functions have {USUAL_FUNCTION} lines or more"
        message = f"{share}, {1 - USUAL_SHARE:.0%} may: begin with {function.name}()"
        yield Complaint(module.path, function.lineno, message)


def _functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring: explaining a function doesn't make it longer."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


if __name__ == "__main__":
    sys.exit(report(check))
