"""A section of the config against its settings class: the settings, or findings."""

import json
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from powerstrip.contract.findings import Finding
from powerstrip.host.config.codes import MAX_FINDINGS, ConfigCode
from powerstrip.host.config.document import (
    ConfigPath,
    Entry,
    Node,
    ScalarNode,
    nearest_entry,
    node_at,
    plain_data,
    walk,
)
from powerstrip.host.config.faults import KEYED, UNION, Fault, collapse_unions, located
from powerstrip.host.config.scalars import SWITCHES
from powerstrip.host.config.shape import Shape
from powerstrip.host.config.source import Span, shortened
from powerstrip.host.config.wording import (
    CHOICES,
    EXPECTED,
    choices,
    described,
    did_you_mean,
    not_allowed,
    spelling_hint,
    validator_words,
    wrong_type,
)

ModelT = TypeVar("ModelT", bound=BaseModel)

_LISTED_KEYS = 12


class SettingsCheck(Generic[ModelT]):
    """Checks one section: `entry` is its place in the config, `name` what messages call it.

    Values are taken as JSON has them and nothing is converted, with three exceptions: the words of a switch, whole
    numbers written as `1.0`, and values of variables and options, which become text where text is wanted.
    """

    def __init__(self, model: type[ModelT], entry: Entry, name: str, other_keys: Collection[str] = ()) -> None:
        """`other_keys` are the keys of the section that the model does not see."""
        self._model = model
        self._entry = entry
        self._name = name
        self._other_keys = other_keys
        self._shape = Shape(model)
        self._tried: set[tuple[ConfigPath, str]] = set()

    def run(self) -> ModelT | list[Finding]:
        """The settings, or everything that is wrong with them."""
        data = plain_data(self._entry.node)
        validate = self._from_json
        while True:
            try:
                return validate(data)
            except ValidationError as error:
                # Without the inputs, and handled outside this block, so that no traceback can show a secret.
                details = error.errors(include_url=False, include_input=False)
            faults = [located(detail, data, self._shape.keys) for detail in details]
            if validate == self._from_json:
                faults = [fault for fault in faults if not fault.of_default]
            if not faults:
                validate = self._from_objects
                continue
            converted = [self._converted(fault, data) for fault in faults]
            if not any(converted):
                found = (finding for fault in collapse_unions(faults) for finding in self._findings(fault))
                return list(islice(found, MAX_FINDINGS + 1))

    def _from_json(self, data: Any) -> ModelT:
        return self._model.model_validate_json(json.dumps(data), strict=True)

    def _from_objects(self, data: Any) -> ModelT:
        """For data that is right, and defaults like `SecretStr("x")`: pydantic refuses such objects beside JSON."""
        return self._model.model_validate(data, strict=False)

    def _converted(self, fault: Fault, data: Any) -> bool:
        """Whether the value in `data` could be replaced by one that the setting may want."""
        node = node_at(self._entry.node, fault.path)
        attempt = (fault.path, fault.kind)
        # Once each: the members of a union could want one value converted back and forth.
        if not isinstance(node, ScalarNode) or not fault.path or fault.key is not None or attempt in self._tried:
            return False
        self._tried.add(attempt)
        *parents, last = fault.path
        for step in parents:
            data = data[step]
        converted = _conversion(fault, node, data[last])
        if converted is data[last]:
            return False
        data[last] = converted
        return True

    def _findings(self, fault: Fault) -> Iterator[Finding]:
        node = node_at(self._entry.node, fault.path)
        if isinstance(node, ScalarNode) and node.broken:
            return
        if fault.of_default:
            yield self._wrong_default(fault)
        elif fault.kind == "missing":
            yield self._missing(fault)
        elif fault.kind in KEYED:
            yield self._unknown_key(fault)
        elif fault.key is not None:
            message = f"the key '{shortened(fault.key)}' is not one that can stand here"
            yield self._place((*fault.path, fault.key)).finding(ConfigCode.VALUE, message)
        else:
            yield self._wrong_value(fault, node)

    def _missing(self, fault: Fault) -> Finding:
        setting = self._full_name((*fault.path, fault.key or ""))
        description = self._shape.description((*fault.path, fault.key or ""))
        hint = f"add '{fault.key}: ...'" + (f": {description}" if description else "")
        return self._place(fault.path).finding(ConfigCode.MISSING, f"the setting '{setting}' is missing", hint=hint)

    def _unknown_key(self, fault: Fault) -> Finding:
        key = fault.key or ""
        known = [*self._shape.keys(fault.path), *(self._other_keys if not fault.path else ())]
        listed = ", ".join(known[:_LISTED_KEYS]) + (", ..." if len(known) > _LISTED_KEYS else "")
        hint = did_you_mean(key, known) or (f"known keys: {listed}" if known else "remove it")
        message = f"unknown key '{shortened(key)}' in '{self._full_name(fault.path)}'"
        return self._place((*fault.path, key)).finding(ConfigCode.UNKNOWN_KEY, message, hint=hint)

    def _wrong_default(self, fault: Fault) -> Finding:
        message = f"the default of '{self._full_name(fault.path)}' is refused by the plugin itself"
        return self._place(fault.path).finding(ConfigCode.VALUE, message, hint="set it, and tell the plugin's author")

    def _wrong_value(self, fault: Fault, node: Node | None) -> Finding:
        shown = self._shape.reveals(fault.path) and not (isinstance(node, ScalarNode) and node.doubtful)
        expected = fault.context["expected"] if fault.kind == UNION else [EXPECTED.get(fault.kind, "")]
        if any(expected):
            code, message = ConfigCode.WRONG_TYPE, wrong_type(expected, described(node, shown))
            hint = spelling_hint(node, expected, shown)
        else:
            code, hint = ConfigCode.VALUE, self._hint_for_value(fault, node)
            words = not_allowed(fault.kind, fault.context, node, shown)
            message = words or validator_words(fault.message, self._hidden_texts(fault.path))
        place = node.span if isinstance(node, ScalarNode) else self._place(fault.path)
        return place.finding(code, f"'{self._full_name(fault.path)}': {message}", hint=hint)

    def _hint_for_value(self, fault: Fault, node: Node | None) -> str | None:
        if fault.kind == "string_pattern_mismatch":
            return self._shape.description(fault.path)
        if fault.kind in CHOICES and isinstance(node, ScalarNode) and not node.template:
            return did_you_mean(node.text, choices(fault.context))
        return None

    def _hidden_texts(self, path: ConfigPath) -> set[str]:
        """What no message may hold: the secrets and interpolated values at `path` and below."""
        start = node_at(self._entry.node, path)
        leaves = [(found, node) for found, node in walk(start, path) if isinstance(node, ScalarNode)] if start else []
        return {node.text for found, node in leaves if node.text and not self._may_show(found, node)}

    def _may_show(self, path: ConfigPath, node: ScalarNode) -> bool:
        return not node.template and self._shape.reveals(path)

    def _place(self, path: ConfigPath) -> Span:
        return nearest_entry(self._entry, path).key

    def _full_name(self, path: ConfigPath) -> str:
        return ".".join(str(step) for step in (self._name, *path))


def _conversion(fault: Fault, node: ScalarNode, value: Any) -> Any:
    """What a refused value may be meant as; the same object when there is nothing else it could be."""
    expected = EXPECTED.get(fault.kind)
    if expected == EXPECTED["bool_type"] and isinstance(value, str):
        return SWITCHES.get(value, value)
    if isinstance(value, float) and value.is_integer() and (expected == EXPECTED["int_type"] or fault.kind in CHOICES):
        return int(value)
    if expected == EXPECTED["string_type"] and node.adapts and not isinstance(value, str):
        return node.text
    if fault.kind in CHOICES and not isinstance(value, str) and node.plain:
        # Other readers of YAML take these words for text, so `reload: off` means one of the choices.
        means_text = node.adapts or node.text.lower() in {"on", "off", "yes", "no"}
        return node.text if means_text and node.text in choices(fault.context) else value
    return value
