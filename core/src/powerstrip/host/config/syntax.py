"""What the YAML parser complains of, in an operator's words."""

import re
from collections.abc import Iterator, Mapping

import yaml

from powerstrip.contract.findings import Finding
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.source import Source, Span

_INDENT = "compare the indentation with the lines above"
_QUOTE = "quote the value"

# The parser's own words, and what to tell the operator: message, hint.
_PROBLEMS: Mapping[str, tuple[str, str]] = {
    "mapping values are not allowed in this context": (
        "a ':' can't stand here",
        "quote a text that holds ': ', or compare the indentation with the lines above",
    ),
    "could not find expected ':'": ("the line above is no 'key: value'", "put a ':' and a space behind the key"),
    "did not find expected key": ("a key should stand here", _INDENT),
    "did not find expected '-' indicator": ("a list goes on here without '-'", _INDENT),
    "block sequence entries are not allowed in this context": ("a list can't start here", "put '-' on the next line"),
    "did not find expected <document start>": ("the text goes on after the end of the document", _INDENT),
    "did not find expected alphabetic or numeric character": ("the name of an anchor should stand here", _QUOTE),
    "found unknown escape character": (
        "a backslash in double quotes starts an escape, and this one is not known",
        "use single quotes, or write the backslash twice",
    ),
}
# The same for what is best shown where it opens.
_UNCLOSED: Mapping[str, tuple[str, str]] = {
    "did not find expected ',' or ']'": ("the list that opens here is not closed", "add a ']', or a ',' between items"),
    "did not find expected ',' or '}'": (
        "the mapping that opens here is not closed",
        "add a '}', or a ',' after a value",
    ),
    "found unexpected end of stream": (
        "the quote that opens here is not closed",
        "close it; double it to have it in the text",
    ),
}
_TAB_INDENT = re.compile(r" *(\t)[ \t]*[^\s#]")


def syntax_findings(error: yaml.MarkedYAMLError | yaml.reader.ReaderError, source: Source, start: int) -> list[Finding]:
    """What stopped the parser, which was given the text of `source` from `start` on."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return [Span(source, start, start + 1).finding(ConfigCode.SYNTAX, "the text is not YAML")]
    index = min(start + mark.index, len(source.text))
    if tabs := list(_tabs(source, index)):
        hint = "use spaces: YAML does not allow tabs there"
        return [tab.finding(ConfigCode.TAB, "the line is indented with a tab", hint=hint) for tab in tabs]
    problem = error.problem or "the text is not YAML"
    if problem in _UNCLOSED and error.context_mark:
        message, hint = _UNCLOSED[problem]
        if source.text[index - 1 : index + 1] == "${":
            message, hint = "inside [ ] or { } a ${...} must be quoted", "write '${...}'"
        else:
            index = start + error.context_mark.index
    else:
        message, hint = _PROBLEMS.get(problem) or _other(problem, source.text[index : index + 1])
    return [Span(source, index, index + 1).finding(ConfigCode.SYNTAX, message, hint=hint)]


def _tabs(source: Source, index: int) -> Iterator[Span]:
    """The tabs that indent the line at `index`, and the lines right after it."""
    start = source.start_of(source.position(index).line)
    while found := _TAB_INDENT.match(source.text, start):
        yield Span(source, *found.span(1))
        end = source.text.find("\n", start)
        if end < 0:
            return
        start = end + 1


def _other(problem: str, character: str) -> tuple[str, str]:
    if character in {"@", "`", "%"}:
        return f"a value can't start with '{character}'", _QUOTE
    return f"YAML can't be read on from here: {problem}", _INDENT
