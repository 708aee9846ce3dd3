"""Lines of the config with a caret below, and no secret in them."""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from powerstrip.contract.findings import Position
from powerstrip.host.config.document import ConfigPath, Document, MappingNode, ScalarNode, walk
from powerstrip.host.config.settings import CORE_SECTIONS
from powerstrip.host.config.wording import TEMPLATE

REDACTED = "**********"
"""What stands where a secret would."""

_WIDEST = 120
_BEFORE_CARET = 60
_CUT = "…"
_KEY = re.compile(r"[\s-]*[\w.-]+:(?=\s|$)")
_WORD = re.compile(r"[\w.-]+")
_COMMENT = re.compile(r"(?:^|\s+)#")
_PUNCTUATION = r"<\s\[\]{}:,?._=-"
_TEXT = re.compile(rf"[^{_PUNCTUATION}](?:.*[^{_PUNCTUATION}])?")
_MARKS = re.compile(r"(?:[&!][^\s,\[\]{}]+[\s:\[{-]*)+")
_SECTION = re.compile(r"^(?P<name>\w+):")


class Token(NamedTuple):
    """A key or a single value, by its indexes in the text."""

    start: int
    end: int
    shown: bool


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
        line, column = self._source.line(position.line), position.column - 1
        if self._root is None and not self._in_core_section(position.line):
            word = _WORD.match(line, column)
            return _underlined(_key_only(line), column, word.end() if word else column + 1)
        # Of a very long line only this much is looked at.
        cut = max(0, column - _BEFORE_CARET) if len(line) > _WIDEST else 0
        view, first = line[cut : cut + _WIDEST], column - cut
        start = self._source.start_of(position.line) + cut
        last = min(first + self._width(view, start, first), len(view))
        hidden, end = self._hidden_in(view, start) if self._root else ([], len(view))
        before, after = _CUT if cut else "", _CUT if cut + _WIDEST < len(line) else ""
        shown = f"{before}{_redacted(view[:end], hidden)}{after}"
        return _underlined(shown, len(before) + _moved(first, hidden), len(before) + _moved(last, hidden))

    def _width(self, view: str, start: int, column: int) -> int:
        if template := TEMPLATE.match(view, column):
            return len(template.group())
        word = _WORD.match(view, column)
        return self._lengths.get(start + column) or (len(word.group()) if word else 1)

    @cached_property
    def _tokens(self) -> list[Token]:
        """All keys and single values, in the order of the text."""
        tokens: set[Token] = set()
        for path, node in walk(self._root) if self._root else ():
            if isinstance(node, MappingNode):
                tokens |= {Token(entry.key.start, entry.key.end, shown=True) for _, entry in node.written()}
            elif isinstance(node, ScalarNode):
                # A switch is no secret, wherever it stands.
                shown = isinstance(node.value, bool) or self._reveals(path)
                tokens.add(Token(node.span.start, node.span.end, shown))
        return sorted(tokens)

    @cached_property
    def _lengths(self) -> dict[int, int]:
        return {token.start: token.end - token.start for token in self._tokens}

    def _hidden_in(self, view: str, start: int) -> tuple[list[tuple[int, int]], int]:
        """What must not be shown of a part of the text, as columns, and where a comment ends what is shown.

        Only what is known to be no secret is shown: keys, values that the settings' types reveal, and punctuation.
        """
        hidden: list[tuple[int, int]] = []
        end = 0
        for token in islice(self._tokens, bisect_right(self._tokens, start, key=lambda token: token.end), None):
            if token.start >= start + len(view):
                break
            first, last = max(token.start - start, end), min(token.end - start, len(view))
            hidden += _unknown(view, end, first)
            if not token.shown:
                hidden += _outside_templates(view, first, last)
            end = max(end, last)
        comment = _COMMENT.search(view, end)
        shown_end = comment.start() if comment else len(view)
        return hidden + _unknown(view, end, shown_end), shown_end

    def _in_core_section(self, number: int) -> bool:
        """Whether the nearest key without indentation, upwards, is that of a core section."""
        sections = (_SECTION.match(self._source.line(above)) for above in range(number, 0, -1))
        section = next((found["name"] for found in sections if found), None)
        return section in CORE_SECTIONS


def _key_only(line: str) -> str:
    key = _KEY.match(line)
    return f"{key.group()} {_CUT}" if key else _CUT


def _unknown(line: str, first: int, last: int) -> list[tuple[int, int]]:
    """The text between two tokens, if it is more than punctuation, anchors and tags."""
    found = _TEXT.search(line, first, last)
    return [found.span()] if found and not _MARKS.fullmatch(found.group()) else []


def _outside_templates(line: str, first: int, last: int) -> list[tuple[int, int]]:
    """The text of a value around its templates, and the defaults inside them: a default may be a secret as well."""
    hidden: list[tuple[int, int]] = []
    for template in TEMPLATE.finditer(line, first, last):
        hidden.append((first, template.start()))
        if template["default"]:
            hidden.append(template.span("default"))
        first = template.end()
    hidden.append((first, last))
    return [(first, last) for first, last in hidden if line[first:last].strip(" '\"")]


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
    """The line with carets below it; those behind its end stand at its end."""
    first = min(first, max(len(line) - 1, 0))
    blank = "".join("\t" if character == "\t" else " " for character in line[:first])
    return f"{line}\n{blank}{'^' * max(1, min(last, len(line)) - first)}"
