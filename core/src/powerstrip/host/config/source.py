"""Texts an operator can edit, and places in them."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from powerstrip.contract.errors import ConfigError
from powerstrip.contract.findings import Finding, Level, Position
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.files import Files

MAX_FILE_SIZE = 1024 * 1024

_QUOTED = 60

# What the YAML scanner counts as the end of a line; `splitlines` knows more.
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Source:
    """A text with a name that tells the operator where to find it: a path, a variable, an option."""

    name: str
    text: str = field(repr=False)

    def position(self, index: int) -> Position:
        line = bisect_right(self._starts, index)
        return Position(self.name, line, index - self._starts[line - 1] + 1)

    def start_of(self, number: int) -> int:
        """The index at which a line starts, lines counted from 1."""
        return self._starts[number - 1]

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        start = self.start_of(number)
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n\x85\u2028\u2029")

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source, from `start` up to but without `end`."""

    source: Source
    start: int
    end: int

    @property
    def position(self) -> Position:
        return self.source.position(self.start)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def finding(self, code: ConfigCode, message: str, *, hint: str | None = None, level: Level = "error") -> Finding:
        return Finding(code.value, message, hint, level, self.position)

    def refusal(self, code: ConfigCode, message: str, *, hint: str | None = None) -> ConfigError:
        """The finding as an error, for what makes reading on pointless."""
        return ConfigError([self.finding(code, message, hint=hint)])


def read_source(path: Path, name: str, files: Files) -> Source:
    """Read a config file. Raises ConfigError with one finding for whatever keeps it from being read as text."""
    nowhere = Span(Source(name, ""), 0, 0)
    content = _read_bytes(path, nowhere, files)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        readable = Source(name, content[: error.start].decode("utf-8-sig"))
        span = Span(readable, len(readable.text), len(readable.text))
        raise span.refusal(ConfigCode.ENCODING, "the file is not UTF-8 text", hint="save it as UTF-8") from None
    source = Source(name, text)
    if found := first_not_text(text):
        message = f"the control character U+{ord(found.group()):04X} can't stand in a config"
        raise Span(source, *found.span()).refusal(ConfigCode.ENCODING, message, hint="remove it")
    return source


def shortened(text: str) -> str:
    """A text as far as a message can quote it."""
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"


def first_not_text(text: str) -> re.Match[str] | None:
    """The first character that YAML does not allow: controls, and halves of surrogate pairs."""
    return _NOT_TEXT.search(text)


def reason_of(error: OSError | ValueError) -> str:
    """Why a file can't be read, without its path."""
    return (error.strerror if isinstance(error, OSError) else None) or "its name is not a path"


def _read_bytes(path: Path, nowhere: Span, files: Files) -> bytes:
    try:
        content = files.read(path, MAX_FILE_SIZE + 1)
    except FileNotFoundError:
        message = f"there is no file '{nowhere.source.name}'"
        raise nowhere.refusal(ConfigCode.FILE_MISSING, message, hint="name another one with --config") from None
    except (OSError, ValueError) as error:
        raise nowhere.refusal(ConfigCode.FILE_UNREADABLE, f"the file can't be read: {reason_of(error)}") from None
    if len(content) > MAX_FILE_SIZE:
        message = f"the file is larger than {MAX_FILE_SIZE // 1024} KiB"
        hint = "move large values to files of their own: ${file:PATH}"
        raise nowhere.refusal(ConfigCode.TOO_LARGE, message, hint=hint)
    return content
