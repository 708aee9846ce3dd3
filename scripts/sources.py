"""Which files the project checks read, and how they report what they find."""

import ast
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE_ROOTS = ("core/src", "plugins/*/src", "examples/*/src")
# Left behind by tools, never tracked.
SKIPPED_FOLDERS = frozenset({"__pycache__", "build", "data", "dist"})


@dataclass(frozen=True, order=True)
class Complaint:
    """One thing wrong with one file, with what to do about it."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Module:
    """One Python file: its path as it is reported, its text and its syntax tree."""

    path: Path
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))


def source_modules(root: Path) -> list[Module]:
    """The Python files that are shipped, without their tests."""
    folders = sorted(folder for pattern in SOURCE_ROOTS for folder in root.glob(pattern))
    paths = (path for folder in folders for path in sorted(folder.rglob("*.py")))
    return [Module(path.relative_to(root), path.read_text(encoding="utf-8")) for path in paths]


def text_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file of the project that is text, as its path below `root` and what it holds."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not _is_skipped(name))
        for name in sorted(names):
            if name == ".git":
                continue  # in a worktree of git it is a file that says where the repository is
            path = Path(folder, name)
            try:
                yield path.relative_to(root), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # pictures and databases


def _is_skipped(folder: str) -> bool:
    hidden = folder.startswith(".") and folder != ".ci"
    return hidden or folder in SKIPPED_FOLDERS or folder.endswith(".egg-info")


def report(check: Callable[[Path], Iterable[Complaint]]) -> int:
    """Run a check on the project, or on the folder named on the command line: 0 when all is well, 1 when not."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    complaints = sorted(check(root))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0
