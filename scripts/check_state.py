"""No state at module level: two applications, or two generations of one, live side by side in a process.

A module may hold constants and what never changes after the import: compiled patterns, loggers, type variables,
markers, routers filled by decorators, instances of stateless classes. A list, a dict or a set that is really a
constant is written as a tuple, a `MappingProxyType` or a `frozenset`, or annotated as a `Mapping` or a `Sequence`,
which mypy then refuses to change.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from sources import Complaint, report, source_modules

# What may be called at module level: what it makes can't change,
IMMUTABLE = frozenset(
    {
        "Decimal",
        "ExportColumn",
        "IPv4Network",
        "IPv6Network",
        "MappingProxyType",
        "Path",
        "Template",
        "bytes",
        "compile",
    }
    | {"date", "datetime", "dumps", "encode"}
    | {"float", "format", "frozenset", "int", "join", "len", "max", "min", "object", "range", "str", "time"}
    | {"timedelta", "tuple", "type"}
)
# or it states a type or a name,
NAMING = frozenset(
    {"HookimplMarker", "HookspecMarker", "NewType", "ParamSpec", "TypeAdapter", "TypeVar", "getLogger", "get_logger"}
)
# or it is filled by decorators while the module is imported, or belongs to the task that sets it.
DECLARING = frozenset({"APIRouter", "ContextVar", "Typer"})
HARMLESS_CALLS = IMMUTABLE | NAMING | DECLARING
READ_ONLY_TYPES = frozenset({"Mapping", "Sequence"})
# `__all__` is read by the import system as a list.
HARMLESS_NAMES = frozenset({"__all__"})
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)


def check(root: Path) -> Iterator[Complaint]:
    for module in source_modules(root):
        harmless = HARMLESS_CALLS | _frozen_classes(module.tree)
        for statement in _module_level(module.tree.body):
            yield from (Complaint(module.path, line, message) for line, message in _state(statement, harmless))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Global):
                yield Complaint(module.path, node.lineno, "`global` is state at module level: keep it on an object")


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, those in `if` and `try` included."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from _module_level(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from _module_level(handler.body)


def _state(statement: ast.stmt, harmless: frozenset[str]) -> Iterator[tuple[int, str]]:
    if isinstance(statement, ast.AugAssign):
        yield statement.lineno, "a module-level name is changed after it was set"
        return
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    if names <= HARMLESS_NAMES or _is_read_only(statement):
        return
    reason = _mutable(statement.value, harmless)
    if reason:
        yield statement.lineno, f"{', '.join(sorted(names))} is state at module level: {reason}"


def _is_read_only(statement: ast.Assign | ast.AnnAssign) -> bool:
    return isinstance(statement, ast.AnnAssign) and _called(statement.annotation) in READ_ONLY_TYPES


def _mutable(value: ast.expr, harmless: frozenset[str]) -> str | None:
    """Why a value could change, or None."""
    if isinstance(value, MUTABLE):
        return "annotate it as a Mapping or a Sequence, or write a tuple or a frozenset"
    if isinstance(value, ast.Call):
        name = _called(value.func)
        return None if name in harmless else f"what {name}() makes may change; keep it on an object"
    if isinstance(value, ast.Lambda | ast.Subscript):
        return None
    parts = (part for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr))
    return next((reason for part in parts if (reason := _mutable(part, harmless))), None)


def _called(function: ast.expr) -> str:
    """The last name of a call or a type: `compile` of `re.compile`, `Mapping` of `Mapping[str, int]`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    if isinstance(function, ast.Subscript):
        return _called(function.value)
    return function.id if isinstance(function, ast.Name) else "the call"


def _frozen_classes(tree: ast.Module) -> frozenset[str]:
    """Classes of this module whose instances can't change: frozen dataclasses, and those that never touch `self.x`."""
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return frozenset(node.name for node in classes if _is_frozen(node) or not _sets_attributes(node))


def _is_frozen(node: ast.ClassDef) -> bool:
    calls = (decorator for decorator in node.decorator_list if isinstance(decorator, ast.Call))
    keywords = (keyword for call in calls for keyword in call.keywords)
    return any(keyword.arg == "frozen" and ast.unparse(keyword.value) == "True" for keyword in keywords)


def _sets_attributes(node: ast.ClassDef) -> bool:
    stored = (part for part in ast.walk(node) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store))
    return any(isinstance(part.value, ast.Name) and part.value.id == "self" for part in stored)


if __name__ == "__main__":
    sys.exit(report(check))
