"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` in scalars."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from powerstrip.contract.errors import ConfigError
from powerstrip.contract.findings import Finding
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.document import Node, ScalarNode, map_scalars, written_scalar
from powerstrip.host.config.files import Files
from powerstrip.host.config.source import Span, first_not_text, reason_of

MAX_NAMED_FILE_SIZE = 64 * 1024
MAX_INTERPOLATED = 4 * 1024 * 1024

# A body ends before the next template, so that text full of unclosed ones is read in one go.
_TEMPLATE = re.compile(r"\$\$\{|\$\{(?P<body>(?:[^}$]|\$(?!\{))*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)
_FORMS = "write ${NAME}, ${NAME:-default} or ${file:PATH}, and $${ for a plain ${"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: what one `${...}` stands for, or what stands between them."""

    text: str
    from_file: bool = False


class Interpolator:
    """Resolves the templates of one document; `folder` is where its `${file:}` paths start, `source` reads them.

    What can't be resolved goes to `findings`, what was read to `files`.
    """

    def __init__(self, environ: Mapping[str, str], folder: Path, source: Files) -> None:
        self.findings: list[Finding] = []
        self.files: dict[Path, str] = {}
        self._environ = environ
        self._folder = folder
        self._source = source
        self._room = MAX_INTERPOLATED

    def resolve(self, root: Node) -> Node:
        """The tree with every template replaced. Raises ConfigError when the result would be too large."""
        return map_scalars(root, self._resolve_scalar)

    def _resolve_scalar(self, scalar: ScalarNode) -> ScalarNode:
        if "${" not in scalar.text:
            return scalar
        found = len(self.findings)
        pieces: list[Piece] = []
        end = 0
        for match, span in _templates(scalar):
            pieces += [Piece(scalar.text[end : match.start()]), self._piece(span, match)]
            end = match.end()
            self._room -= len(pieces[-1].text)
            if self._room < 0:
                message = f"the values of ${{...}} come to more than {MAX_INTERPOLATED // 1024 // 1024} MiB"
                raise scalar.span.refusal(ConfigCode.TOO_LARGE, message)
        text = "".join(piece.text for piece in pieces) + scalar.text[end:]
        from_file = any(piece.from_file for piece in pieces)
        if len(self.findings) > found:
            return replace(scalar, broken=True, template=True)
        if scalar.plain and not from_file:
            # Read again as if it had been written there, so that `port: ${PORT}` is a number.
            return written_scalar(scalar.span, text, self.findings, adapts=True, template=True)
        return replace(scalar, text=text, value=text, plain=False, template=True, secret_file=from_file)

    def _piece(self, span: Span, match: re.Match[str]) -> Piece:
        if match.group() == "$${":
            return Piece("${")
        try:
            return self._meaning(span, match["body"])
        except ConfigError as error:
            self.findings += error.findings
            return Piece("")

    def _meaning(self, span: Span, body: str | None) -> Piece:
        if body is None:
            message = "this '${' is not closed with a '}', or holds another '${'"
            raise span.refusal(ConfigCode.TEMPLATE, message, hint=_FORMS)
        if body.startswith("file:"):
            return Piece(self._content(span, body.removeprefix("file:")), from_file=True)
        variable = _VARIABLE.fullmatch(body)
        if variable is None:
            raise span.refusal(ConfigCode.TEMPLATE, "what stands in '${...}' can't be understood", hint=_FORMS)
        return Piece(self._value(span, variable["name"], variable["default"]))

    def _value(self, span: Span, name: str, default: str | None) -> str:
        value = self._environ.get(name)
        if default is not None and not value:
            return default
        if value is None:
            hint = f"set it, or give a default: ${{{name}:-default}}"
            raise span.refusal(ConfigCode.UNSET_VARIABLE, f"the environment variable {name} is not set", hint=hint)
        if first_not_text(value):
            message = f"the environment variable {name} holds a character that is not text"
            raise span.refusal(ConfigCode.ENCODING, message)
        return value

    def _content(self, span: Span, name: str) -> str:
        """What a file holds, without the line end that editors put last."""
        path = self._folder / name
        if path not in self.files:
            self.files[path] = _read_named_file(span, path, name, self._source)
        return self.files[path]


def _read_named_file(span: Span, path: Path, name: str, source: Files) -> str:
    try:
        content = source.read(path, MAX_NAMED_FILE_SIZE + 1)
    except FileNotFoundError:
        hint = f"paths start at the folder of the config, which makes it {path}"
        raise span.refusal(ConfigCode.FILE_MISSING, f"there is no file '{name}'", hint=hint) from None
    except (OSError, ValueError) as error:
        message = f"the file '{name}' can't be read: {reason_of(error)}"
        raise span.refusal(ConfigCode.FILE_UNREADABLE, message) from None
    if len(content) > MAX_NAMED_FILE_SIZE:
        message = f"the file '{name}' is larger than {MAX_NAMED_FILE_SIZE // 1024} KiB"
        raise span.refusal(ConfigCode.TOO_LARGE, message)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        message = f"the file '{name}' is not UTF-8 text"
        raise span.refusal(ConfigCode.ENCODING, message, hint="encode binary values, in Base64 say") from None
    return text.removesuffix("\n").removesuffix("\r")


def _templates(scalar: ScalarNode) -> Iterator[tuple[re.Match[str], Span]]:
    """Each template of the unescaped text, with the span it has in the source.

    Quotes, escapes and folded lines move columns, but never the order in which the `${` follow each other.
    """
    source, index = scalar.span.source, scalar.span.start - 1
    for match in _TEMPLATE.finditer(scalar.text):
        index = source.text.find("${", index + 1, scalar.span.end)
        if index < 0:  # it was written with an escape, "\x24{": the scalar is the nearest place
            index = scalar.span.start
        yield match, Span(source, index, index + 2)
