"""The JSON Schema of the config, for editors: it accepts what the loader accepts.

Editors read YAML 1.2, where `on` is the text "on": a switch is described as a boolean or one of those words. A text
that holds `${` is accepted in place of any single value, since only the loader knows what it becomes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from powerstrip.contract.plugin import PluginSettings
from powerstrip.host.config.scalars import SWITCHES
from powerstrip.host.config.settings import CORE_SECTIONS, SectionSettings

Schema = dict[str, Any]

_TEMPLATE: Mapping[str, Any] = {"$ref": "#/$defs/template"}
_SWITCH: Mapping[str, Any] = {"$ref": "#/$defs/switch"}
_ON: Sequence[Any] = [True, *(word for word, value in SWITCHES.items() if value)]
_OFF: Sequence[Any] = [False, *(word for word, value in SWITCHES.items() if not value)]
_IS_OFF: Mapping[str, Any] = {
    "anyOf": [
        {"enum": _OFF},
        {"type": "object", "properties": {"enabled": {"enum": _OFF}}, "required": ["enabled"]},
    ]
}
_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "writeOnly", "format"})


def config_schema(settings_types: Mapping[str, type[PluginSettings]]) -> Schema:
    """The schema of the whole document, as JSON Schema 2020-12.

    Plugins in `settings_types` are described as far as they are on; the sections of others are free.
    """
    definitions: Schema = {
        "template": {"type": "string", "pattern": r"\$\{"},
        "switch": {"anyOf": [{"enum": [*_ON, *_OFF]}, _TEMPLATE]},
    }
    properties = {name: _or_null(_described(name, model, definitions)) for name, model in CORE_SECTIONS.items()}
    free = _described("plugin", SectionSettings, definitions) | {"additionalProperties": True}
    sections = {name: _described(f"plugins.{name}", model, definitions) for name, model in settings_types.items()}
    for section in sections.values():
        section["properties"] = free["properties"] | section.get("properties", {}) | free["properties"]
    properties["plugins"] = _or_null(
        {
            "description": "The plugins and their settings. One that is not listed is off.",
            "type": "object",
            "properties": {name: _plugin(section) for name, section in sections.items()},
            "additionalProperties": _plugin(free),
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Powerstrip config",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }


def _described(owner: str, model: type[BaseModel], definitions: Schema) -> Schema:
    """A settings class as a schema; classes nested in it go to `definitions`, under their owner's name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{owner}.{{model}}")
    definitions |= {f"{owner}.{name}": _adapted(nested) for name, nested in schema.pop("$defs", {}).items()}
    adapted: Schema = _adapted(schema)
    return adapted


def _plugin(section: Schema) -> Schema:
    """All that may stand behind a plugin's name; while it is off, its own keys are not looked at."""
    shorthand = [] if section.get("required") else [{"enum": [*_ON, None]}]
    on = {"anyOf": [section, *shorthand, _TEMPLATE]}
    return {"description": section.get("description", ""), "if": _IS_OFF, "then": True, "else": on}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _adapted(schema: Any) -> Any:
    """The same schema with the words of switches and with templates."""
    if not isinstance(schema, dict):
        return schema
    if _is_single_value(schema):
        return _single_value(schema)
    # Pydantic takes a list with repeated items for a set, and JSON Schema would not. The members of its `oneOf` never
    # overlap, but with templates they do.
    adapted = {key: value for key, value in schema.items() if key not in {"uniqueItems", "oneOf", "discriminator"}}
    adapted |= {"anyOf": schema["oneOf"]} if "oneOf" in schema else {}
    for key in adapted.keys() & {"properties", "patternProperties"}:
        adapted[key] = {name: _adapted(value) for name, value in adapted[key].items()}
    for key in adapted.keys() & {"anyOf", "allOf", "prefixItems"}:
        adapted[key] = [_adapted(value) for value in adapted[key]]
    for key in adapted.keys() & {"items", "additionalProperties"}:
        adapted[key] = _adapted(adapted[key])
    return adapted


def _is_single_value(schema: Schema) -> bool:
    return schema.get("type") in {"string", "integer", "number", "boolean"} or bool({"enum", "const"} & schema.keys())


def _single_value(schema: Schema) -> Schema:
    annotations = {key: value for key, value in schema.items() if key in _ANNOTATIONS}
    value = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
    if value == {"type": "string"}:
        return schema
    if value == {"type": "boolean"}:
        return {**annotations, **_SWITCH}
    return annotations | {"anyOf": [value, _TEMPLATE]}
