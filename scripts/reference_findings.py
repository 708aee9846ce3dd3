"""The reference of findings: every code in the source, with what it says and what it advises."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from powerstrip.host.config.codes import ConfigCode

ROOT = Path(__file__).parent.parent
SOURCES = ("core/src/powerstrip/host", "core/src/powerstrip/cli")
CODE = re.compile(r"[a-z]+\.[a-z]+(-[a-z0-9]+)*")
# A finding is made by `Finding` itself, or by a function named after it.
MAKERS = ("finding", "failure")
INTRODUCTION = """# Findings

A finding says where something is wrong, what is wrong, and what to do. Its code is stable. An error refuses the config;
a warning only fails `powerstrip check --strict`."""
IN_THE_CONFIG = """## In the config

| code | means |
|---|---|"""
AMONG_PLUGINS = """## Among the plugins

`…` stands for what was found.

| code | says | advises |
|---|---|---|"""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Texts = dict[str, ast.expr]


def page() -> str:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            for code, message, hint in _findings(ast.parse(path.read_text(encoding="utf-8"))):
                found[code].add((message, hint))
    lines = [INTRODUCTION, "", IN_THE_CONFIG]
    lines += [f"| `{code}` | {_cell(code.explanation)} |" for code in sorted(ConfigCode)]
    lines += ["", AMONG_PLUGINS]
    for code in sorted(found):
        lines += [f"| `{code}` | {_cell(message)} | {_cell(hint)} |" for message, hint in sorted(found[code])]
    return "\n".join([*lines, ""])


def _findings(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Code, message and hint of each call that states a code."""
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            stated = _stated(call)
            if stated:
                code, message, hint = stated
                texts = _assigned_before(call, function)
                yield code, _text(message, texts), _text(hint, texts)


def _assigned_before(call: ast.Call, function: Function) -> Texts:
    """What the names of a function hold where the call stands."""
    assignments = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and node.lineno <= call.lineno]
    assignments.sort(key=lambda node: node.lineno)
    return {target.id: node.value for node in assignments for target in node.targets if isinstance(target, ast.Name)}


def _stated(call: ast.Call) -> tuple[str, ast.expr | None, ast.expr | None] | None:
    """The code of a call, and the expressions of its message and hint, whether by position or by name."""
    if not ast.unparse(call.func).lower().endswith(MAKERS):
        return None
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if code := _code(named.get("code")):
        return code, named.get("message"), named.get("hint")
    for position, argument in enumerate(call.args, start=1):
        if code := _code(argument):
            message, hint, *_ = [*call.args[position:], None, None]
            return code, named.get("message", message), named.get("hint", hint)
    return None


def _code(node: ast.expr | None) -> str | None:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text if CODE.fullmatch(text) else None


def _text(node: ast.expr | None, texts: Texts) -> str:
    """A message as it is written, with `…` for what is put in while running."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, texts) for part in node.values)
    if isinstance(node, ast.IfExp):
        options = (_text(node.body, texts), _text(node.orelse, texts))
        return ", or: ".join(option for option in options if option)
    if isinstance(node, ast.Name) and node.id in texts:
        return _text(texts[node.id], {})
    return "…" if node is not None else ""


def _cell(text: str) -> str:
    return re.sub(r"…[…\s]*…", "…", text).replace("|", "\\|").replace("\n", " ").strip()
