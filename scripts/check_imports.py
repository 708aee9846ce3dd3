"""Imports stand at the top of a module; one inside a function says in a comment why it can't."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from sources import Complaint, Module, report, source_modules

# The comment may stand on the line, above it, or above the `if` or `try` that holds it.
LINES_ABOVE = 2
SILENCER = re.compile(r"#\s*(noqa(:[\sA-Z0-9,]+)?|type: ignore(\[[\w, -]+\])?)")
MESSAGE = "an import inside a function: move it to the top, or say in a comment why it can't be there"


def check(root: Path) -> Iterator[Complaint]:
    for module in source_modules(root):
        reasons = _lines_with_reasons(module)
        for line in sorted(_late_imports(module.tree)):
            if reasons.isdisjoint(range(line - LINES_ABOVE, line + 1)):
                yield Complaint(module.path, line, MESSAGE)


def _late_imports(tree: ast.Module) -> set[int]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    inner = (node for function in functions for node in ast.walk(function))
    return {node.lineno for node in inner if isinstance(node, ast.Import | ast.ImportFrom)}


def _lines_with_reasons(module: Module) -> set[int]:
    """Lines with a comment that says more than which warning to silence."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    comments = (token for token in tokens if token.type == tokenize.COMMENT)
    return {token.start[0] for token in comments if SILENCER.sub("", token.string).strip("# ")}


if __name__ == "__main__":
    sys.exit(report(check))
