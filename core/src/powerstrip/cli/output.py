"""What the commands print: tables for people, plain columns for pipes, JSON for programs."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text


def is_plain() -> bool:
    """True when nobody would see colours and frames: a pipe, a file, or NO_COLOR (https://no-color.org)."""
    return not sys.stdout.isatty() or bool(os.environ.get("NO_COLOR"))


def help_style() -> Literal["rich"] | None:
    """How typer shall print help and usage errors."""
    return None if is_plain() else "rich"


def print_json(value: Any) -> None:
    """Print one JSON document in ASCII, keys in the order they have."""
    print_text(json.dumps(value, indent=2))


def print_text(text: str) -> None:
    """Print text as it is: no markup, no wrapping, control characters made visible."""
    sys.stdout.write(f"{_visible(text)}\n")


def print_error(text: str) -> None:
    """Print text for people to standard error, which leaves standard output to the answer."""
    sys.stdout.flush()
    sys.stderr.write(f"{_visible(text)}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a heading: framed on a terminal, aligned columns that grep and awk can read elsewhere."""
    if is_plain():
        for line in _aligned([columns, *rows]):
            print_text(line)
        return
    table = Table(*columns, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_visible(cell)) for cell in row))
    Console().print(table)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    cells = [[_visible(cell).replace("\n", " ") for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _visible(text: str) -> str:
    """Names and messages come from files and packages of others: none may move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)
