"""What can be wrong with a config, and where."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source an operator can edit: line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a config, with what an operator can do about it.

    `code` is stable (`config.unknown-key`), `message` says what is wrong, `hint` what to do,
    `plugin` who owns the place, `excerpt` the line there with a caret below, without secrets. An
    `error` stops the config from being used; a `warning` is only refused by `powerstrip check --strict`.
    """

    code: str
    message: str
    hint: str | None = None
    level: Level = "error"
    position: Position | None = None
    plugin: str | None = None
    excerpt: str | None = field(default=None, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The flat form that `--json` prints: code, level, message, hint, file, line, column, plugin."""
        position = asdict(self.position) if self.position else dict.fromkeys(("file", "line", "column"))
        return {
            "code": self.code,
            "level": self.level,
            "message": self.message,
            "hint": self.hint,
            **position,
            "plugin": self.plugin,
        }
