"""Every code a finding about the config can have."""

from enum import StrEnum
from typing import Self

MAX_FINDINGS = 100
"""How many findings are shown at once."""


class ConfigCode(StrEnum):
    """A stable code, and in `explanation` what it means to an operator."""

    explanation: str

    def __new__(cls, code: str, explanation: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.explanation = explanation
        return member

    FILE_MISSING = "config.file-missing", "A config file, or a file that `${file:}` names, does not exist."
    FILE_UNREADABLE = "config.file-unreadable", "A file exists but can't be read: permissions, or it is a folder."
    ENCODING = "config.encoding", "A text is not UTF-8, or holds a control character."
    TOO_LARGE = "config.too-large", "A file, a value or a document is larger than the host will read."
    TOO_DEEP = "config.too-deep", "Mappings and lists are nested too deep."
    TOO_MANY = "config.too-many", "There are more findings than are worth printing; the first ones are."
    SYNTAX = "config.syntax", "The text is not YAML."
    TAB = "config.tab", "A line is indented with a tab; YAML only allows spaces."
    DOCUMENTS = "config.several-documents", "A file holds several YAML documents; only one is read."
    TAG = "config.tag", "A YAML tag (`!name`) is used; values are read without tags."
    ALIAS = "config.alias", "A YAML alias (`*name`) has no anchor before it."
    MERGE = (
        "config.merge-key",
        "A merge key (`<<`) takes a mapping or a list of mappings, and was given something else.",
    )
    KEY = "config.key", "A key is a mapping or a list; keys are text."
    DUPLICATE_KEY = "config.duplicate-key", "A key stands twice in one mapping."
    NUMBER = "config.number", "A number has too many digits, or is not finite."
    LEADING_ZERO = "config.leading-zero", "A number starts with a zero: it is read as decimal, not as octal."
    TEMPLATE = "config.template", "A `${...}` can't be understood."
    UNSET_VARIABLE = (
        "config.unset-variable",
        "`${NAME}` names an environment variable that is not set and has no default.",
    )
    OVERRIDE = "config.override", "A `--set` or an environment variable does not say which key it means."
    UNKNOWN_KEY = "config.unknown-key", "A key is not one of those its section knows."
    MISSING = "config.missing", "A setting without a default is not given."
    WRONG_TYPE = "config.wrong-type", "A value is of another type than its setting wants."
    VALUE = "config.value", "A value is of the right type, but not allowed."
    DEBUG_EXPOSED = (
        "config.debug-exposed",
        "`app.debug` shows tracebacks to clients, and the server listens to strangers.",
    )
