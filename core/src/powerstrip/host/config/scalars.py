"""What a plain YAML scalar means.

YAML 1.2's core schema, plus the words an operator expects to be switches: `on`, `off`, `yes`, `no`. So `012` is twelve,
`1e3` a number, and `1:30`, `1_000` and `2026-01-01` are text.
"""

import math
import re
from collections.abc import Mapping

ScalarValue = str | int | float | bool | None

MAX_DIGITS = 300

_WORDS: Mapping[str, bool] = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
SWITCHES: Mapping[str, bool] = {
    form: value for word, value in _WORDS.items() for form in (word, word.capitalize(), word.upper())
}
"""The words of a switch, in the three casings YAML knows."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")


def read_plain(text: str) -> ScalarValue:
    """The value of an unquoted scalar. Raises ValueError for a number that can't be held."""
    if text in _NULLS:
        return None
    if text in SWITCHES:
        return SWITCHES[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("only finite numbers can be used")
    numeric = _INTEGER.fullmatch(text) or _PREFIXED.fullmatch(text) or _FLOAT.fullmatch(text)
    return _number(text) if numeric else text


def has_leading_zero(text: str) -> bool:
    """Whether other readers of YAML would take this whole number for octal."""
    return _LEADING_ZERO.fullmatch(text) is not None


def _number(text: str) -> int | float:
    # Python refuses to read integers of thousands of digits with an error of its own.
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number can have {MAX_DIGITS} digits at most")
    if _PREFIXED.fullmatch(text):
        return int(text, base=0)
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number
