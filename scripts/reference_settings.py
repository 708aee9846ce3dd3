"""The reference of settings: the host's own sections, and those of the first-party plugins."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from powerstrip.host.config.settings import ApiSettings, AppSettings, LoggingSettings, ServerSettings
from powerstrip.host.discovery import discover_plugins

ROOT = Path(__file__).parent.parent
HOST_SECTIONS: Mapping[str, type[BaseModel]] = {
    "app": AppSettings,
    "api": ApiSettings,
    "server": ServerSettings,
    "logging": LoggingSettings,
}
BOUNDS = (("minimum", "≥ "), ("exclusiveMinimum", "> "), ("maximum", "≤ "), ("exclusiveMaximum", "< "))
INTRODUCTION = """# Settings

A plugin's section also takes the host's own keys: `enabled`, `prefix` (put before the paths of its routes) and
`on_failure` (`abort` or `skip`)."""

Schema = Mapping[str, Any]


def page() -> str:
    lines = [INTRODUCTION, ""]
    for section, model in _sections():
        schema = model.model_json_schema()
        lines += [f"## `{section}`", "", "| setting | type | default | meaning |", "|---|---|---|---|"]
        lines += [_row(*setting) for setting in _settings(model, schema, schema.get("$defs", {}))]
        lines.append("")
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    yield from HOST_SECTIONS.items()
    installed = discover_plugins().plugins
    for name in sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml")):
        if name not in installed:
            sys.exit(f"the plugin '{name}' is not installed: run `make install` first")
        yield f"plugins: {name}", installed[name].load().settings_type


def _settings(model: type[BaseModel], schema: Schema, definitions: Schema) -> Iterator[tuple[str, FieldInfo, Schema]]:
    """Each setting by its dotted name, those of nested sections included, with references resolved."""
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        resolved = _resolved(schema["properties"][name], definitions)
        section = _section(field.annotation)
        if section is None or "anyOf" in resolved:
            yield name, field, resolved
        if section is not None:
            options = resolved.get("anyOf", [resolved])
            nested = next(option for option in options if "properties" in option)
            yield from ((f"{name}.{inner}", *found) for inner, *found in _settings(section, nested, definitions))


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model of a nested section, which may be one that can be left out."""
    options = (annotation, *(() if get_args(annotation)[1:] != (type(None),) else get_args(annotation)))
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """The schema with what it refers to put in its place, one level deep in unions and lists too."""
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **{k: v for k, v in schema.items() if k != "$ref"}}
    inner: dict[str, Any] = {}
    if "anyOf" in schema:
        inner["anyOf"] = [_resolved(option, definitions) for option in schema["anyOf"]]
    if isinstance(schema.get("items"), Mapping):
        inner["items"] = _resolved(schema["items"], definitions)
    return {**schema, **inner}


def _row(name: str, field: FieldInfo, setting: Schema) -> str:
    default = "required" if field.is_required() else f"`{_default(field)}`"
    meaning = " ".join(str(setting.get("description", "")).split())
    cells = (f"`{name}`", _kind(setting), default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    value = to_jsonable_python(field.get_default(call_default_factory=True, validated_data={}))
    return json.dumps(value, ensure_ascii=False)


def _kind(schema: Schema) -> str:
    """A type in an operator's words."""
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(option) for option in schema["anyOf"]))
    if schema.get("writeOnly"):
        return "secret text"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "switch", "object": "mapping"}
    kind = "nothing" if schema.get("type") == "null" else words.get(schema.get("type", ""), "anything")
    bounds = [f"{sign}{schema[bound]}".removesuffix(".0") for bound, sign in BOUNDS if bound in schema]
    return f"{kind} {' and '.join(bounds)}" if bounds else kind
