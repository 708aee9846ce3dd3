"""What pydantic complains of, in an operator's words."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from powerstrip.host.config.document import MappingNode, Node, ScalarNode, SequenceNode
from powerstrip.host.config.source import shortened

_SWITCH, _WHOLE, _A_NUMBER, _TEXT = "on or off", "a whole number", "a number", "text"
_LIST, _MAPPING = "a list", "a mapping (key: value)"
EXPECTED: Mapping[str, str] = {
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _A_NUMBER,
    "float_parsing": _A_NUMBER,
    "decimal_type": _A_NUMBER,
    "string_type": _TEXT,
    "bytes_type": _TEXT,
    "url_type": _TEXT,
    "path_type": _TEXT,
    "none_required": "nothing",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
}
"""What each error about a type wanted instead."""

CHOICES = frozenset({"literal_error", "enum"})
"""Errors about a value that is not one of a few."""

_LIMITS: Mapping[str, str] = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must have at least {min_length} {units}",
    "string_too_long": "must have at most {max_length} {units}",
    "too_short": "must have at least {min_length} {units}",
    "too_long": "must have at most {max_length} {units}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
}
_DIGITS = re.compile(r"[-+]?[0-9_]*\.?[0-9_]+")
_PYDANTIC_WORDS = re.compile(r"^(?:Value error|Assertion failed), ")

_BODY = r"(?:[^}$]|\$(?!\{))*"
TEMPLATE = re.compile(rf"(?<!\$)\$\{{(?:file:{_BODY}|[A-Za-z_]\w*(?::-(?P<default>{_BODY}))?)\}}", re.ASCII)
"""A `${...}` that can be understood; whatever else stands around it may be part of a secret."""


def wrong_type(expected: Iterable[str], got: str) -> str:
    return f"expected {' or '.join(dict.fromkeys(expected))}, got {got}"


def not_allowed(kind: str, context: Mapping[str, Any], node: Node | None, shown: bool) -> str | None:
    """What is wrong with a value of the right type; None for what only pydantic has words for."""
    if kind in CHOICES:
        return f"expected {context['expected']}, got {described(node, shown)}"
    if kind not in _LIMITS:
        return None
    if context.get("min_length") == 1 and kind.endswith("too_short"):
        return "must not be empty"
    units = "characters" if isinstance(node, ScalarNode) else "items"
    bounds = {name: f"{bound:g}" if isinstance(bound, float) else bound for name, bound in context.items()}
    return _LIMITS[kind].format(**bounds, units=units)


def validator_words(message: str, hidden: Iterable[str]) -> str:
    """A validator's own message, unless it quotes one of the texts that must stay hidden."""
    words = _PYDANTIC_WORDS.sub("", message).replace("Input should be", "expected")
    if any(text in words for text in hidden):
        return "the value is not allowed; the reason is not shown because it quotes a secret"
    return words


def described(node: Node | None, shown: bool) -> str:
    """What stands there, for "got ..."; the value itself only when it may be shown."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if node is None or (node.value is None and not node.template):
        return "nothing"
    kind = _kind(node)
    if node.template:
        return f"{kind} from {shortened(node.span.text) if shown else templates_only(node.span.text)}"
    quoted = shortened(node.text) if kind == _A_NUMBER else f"'{shortened(node.text)}'"
    return f"{kind.replace('a ', 'the ')} {quoted}" if shown else kind


def spelling_hint(node: Node | None, expected: Collection[str], shown: bool) -> str | None:
    """How to write the value so that it has the type it was meant to have."""
    if not isinstance(node, ScalarNode):
        return None
    if node.doubtful:
        return "write on or off, or the plugin's settings, indented below its name"
    if _TEXT in expected and node.plain and not node.template and isinstance(node.value, bool | int | float):
        return f"quote it: '{shortened(node.text)}'" if shown else "quote it"
    if _MAPPING in expected and node.plain and not node.template and ":" in node.text:
        return "put a space behind the ':'"
    return _number_hint(node) if {_WHOLE, _A_NUMBER} & set(expected) else None


def _number_hint(node: ScalarNode) -> str | None:
    if node.template:
        return None if node.plain or node.secret_file else "write it without quotes"
    if isinstance(node.value, str) and _DIGITS.fullmatch(node.text):
        return "write it without '_'" if node.plain else "write it without quotes"
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A suggestion when one of the known words is close."""
    folded = {known_word.lower().replace("-", "_"): known_word for known_word in known}
    close = get_close_matches(word[:60].lower().replace("-", "_"), folded, n=1, cutoff=0.65)
    return f"did you mean '{folded[close[0]]}'?" if close else None


def templates_only(text: str) -> str:
    """The `${...}` of a text without what stands around them, and without their defaults: those may be secret."""
    found = (re.sub(r":-[^}]+", ":-…", template.group()) for template in TEMPLATE.finditer(text))
    return " ".join(found) or "${...}"


def choices(context: Mapping[str, Any]) -> list[str]:
    """The texts that a choice is made of; pydantic gives them as one text, each in quotes."""
    return re.findall(r"'([^']*)'", str(context.get("expected", "")))


def _kind(node: ScalarNode) -> str:
    if isinstance(node.value, bool):
        return "a switch"
    if isinstance(node.value, int | float):
        return _A_NUMBER
    return _TEXT if isinstance(node.value, str) else "nothing"
