"""Lines of the config with a caret below, and no secret in them."""

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from powerstrip.contract.findings import Position
from powerstrip.host.document import ConfigPath, Document, MappingNode, ScalarNode, walk
from powerstrip.host.settings import CORE_SECTIONS
from powerstrip.host.wording import TEMPLATE

REDACTED = "**********"
"""What stands where a secret would."""

_WIDEST = 120
_BEFORE_CARET = 60
_KEY = re.compile(r"[\s-]*[\w.-]+:(?=\s|$)")
_WORD = re.compile(r"[\w.-]+")
_SECTION = re.compile(r"^(?P<name>\w+):")


class Excerpts:
    """Lines of one document; `reveals` says which values are known to be no secret.

    In a text that could not be read as YAML nobody can tell what a value is. Its lines are cut behind their key, unless
    they stand in a section of the core.
    """

    def __init__(self, document: Document, reveals: Callable[[ConfigPath], bool]) -> None:
        self._source = document.source
        self._root = document.root
        self._reveals = reveals

    def at(self, position: Position) -> str:
        """The line of `position`, and below it a caret under each character of the key or value that starts there."""
        line = self._source.line(position.line)
        first = position.column - 1
        last = min(first + self._width(position, line), len(line))
        if self._root is None and not self._in_core_section(position.line):
            key = _KEY.match(line)
            line = f"{key.group() if key else ''} …"
            return _underlined(line, min(first, len(line) - 1), min(last, len(line)))
        hidden = list(self._hidden_in(position.line, line))
        return _underlined(_redacted(line, hidden), _moved(first, hidden), _moved(last, hidden))

    def _width(self, position: Position, line: str) -> int:
        if template := TEMPLATE.match(line, position.column - 1):
            return len(template.group())
        word = _WORD.match(line, position.column - 1)
        start = self._source.start_of(position.line) + position.column - 1
        return self._widths.get(start) or (len(word.group()) if word else 1)

    @cached_property
    def _widths(self) -> dict[int, int]:
        """The lengths of all keys and values, by where they start."""
        widths: dict[int, int] = {}
        for _, node in walk(self._root) if self._root else ():
            widths[node.span.start] = node.span.end - node.span.start
            if isinstance(node, MappingNode):
                widths |= {entry.key.start: entry.key.end - entry.key.start for entry in node.entries.values()}
        return widths

    def _hidden_in(self, number: int, line: str) -> Iterator[tuple[int, int]]:
        """What must not be shown of a line, as columns; the `${...}` themselves may be."""
        start = self._source.start_of(number)
        for span_start, span_end in self._hidden:
            first, last = max(span_start - start, 0), min(span_end - start, len(line))
            if first < last:
                yield from ((a, b) for a, b in _outside_templates(line, first, last) if line[a:b].strip(" '\""))

    @cached_property
    def _hidden(self) -> list[tuple[int, int]]:
        leaves = [(path, node) for path, node in walk(self._root) if isinstance(node, ScalarNode)] if self._root else []
        # A switch is no secret, wherever it stands.
        hidden = (node.span for path, node in leaves if not isinstance(node.value, bool) and not self._reveals(path))
        return sorted({(span.start, span.end) for span in hidden})

    def _in_core_section(self, number: int) -> bool:
        """Whether the nearest key without indentation, upwards, is that of a core section."""
        sections = (_SECTION.match(self._source.line(above)) for above in range(number, 0, -1))
        section = next((found["name"] for found in sections if found), None)
        return section in CORE_SECTIONS


def _outside_templates(line: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The stretches of text around templates, and the defaults inside them: a default may be a secret as well."""
    for template in TEMPLATE.finditer(line, first, last):
        yield first, template.start()
        first = template.end()
        if template["default"]:
            yield template.span("default")
    yield first, last


def _redacted(line: str, hidden: list[tuple[int, int]]) -> str:
    for first, last in reversed(hidden):
        line = f"{line[:first]}{REDACTED}{line[last:]}"
    return line


def _moved(column: int, hidden: list[tuple[int, int]]) -> int:
    """Where a column of the line stands after redaction; inside a hidden stretch that is its nearer end."""
    moved = column
    for first, last in hidden:
        if column >= last:
            moved += len(REDACTED) - (last - first)
        elif column > first:
            return moved - (column - first)
    return moved


def _underlined(line: str, first: int, last: int) -> str:
    """The line, or as much of a long one as surrounds the caret."""
    cut = max(0, first - _BEFORE_CARET) if len(line) > _WIDEST else 0
    shown = ("…" if cut else "") + line[cut : cut + _WIDEST] + ("…" if len(line) > cut + _WIDEST else "")
    column = first - cut + (1 if cut else 0)
    blank = "".join("\t" if character == "\t" else " " for character in shown[:column])
    return f"{shown}\n{blank}{'^' * max(1, min(last - first, len(shown) - column))}"
