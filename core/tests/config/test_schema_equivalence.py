"""The JSON Schema and the loader accept the same documents.

The documents hold no `${...}`: what one comes to is only known to the loader. Texts are quoted: an editor reads a
plain `no` as text, the loader as a switch, and asks for quotes where text is wanted (see `test_schema.py`).
"""

import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, SecretStr

from powerstrip import ConfigError, PluginSettings
from powerstrip.host.config.config import load_config
from powerstrip.host.config.schema import config_schema

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Mail(PluginSettings):
    kind: Literal["mail"]
    address: str = Field(min_length=3)


class Hook(PluginSettings):
    kind: Literal["hook"]
    port: int


class Everything(PluginSettings):
    """One setting of each kind that JSON can express."""

    count: int = Field(default=1, ge=0, le=100)
    ratio: float = Field(default=0.5, gt=0)
    switch: bool = False
    switch_or_number: bool | int = False
    text: str = Field(default="abc", min_length=1, max_length=20)
    code: str = Field(default="A1", pattern="^[A-Z][0-9]$")
    mode: Literal["fast", "off", 3] = "fast"
    colour: Colour = Colour.RED
    secret: SecretStr | None = None
    number_or_text: int | str = 1
    numbers: list[int] = Field(default=[], max_length=3)
    names: set[str] = Field(default=set())
    switches: list[bool] = Field(default=[])
    pair: tuple[int, str] = (1, "a")
    limits: dict[str, float] = Field(default={})
    free: Any = None
    target: Annotated[Mail | Hook, Field(discriminator="kind")] | None = None
    targets: dict[str, Hook] = Field(default={})


class Demanding(PluginSettings):
    key: str
    tries: int = 3


SETTINGS_TYPES: Mapping[str, type[PluginSettings]] = {"everything": Everything, "demanding": Demanding}
SCHEMA = config_schema(SETTINGS_TYPES)
VALIDATOR = Draft202012Validator(SCHEMA)
WORDS = SCHEMA["$defs"]["switch"]["anyOf"][0]["enum"]

# YAML has no way to write the rest without escapes, and texts with `${` are templates.
characters = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co", "Zl", "Zp"), exclude_characters="$"
)
texts = st.text(characters, max_size=6) | st.sampled_from(["1", "1.5", "null", "~", "", "fast", "red", "a/b", "/x"])
numbers = st.integers(-(2**70), 2**70) | st.integers(-2, 110) | st.floats(allow_nan=False, allow_infinity=False)
whole_floats = st.integers(-3, 110).map(float)
scalars = st.none() | st.sampled_from(WORDS) | numbers | whole_floats | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)


def drawn_from(schema: Any, draw: Draw) -> Any:
    """A value that mostly fits the schema: now and then anything stands in the place of a part of it."""
    if isinstance(schema, bool) or draw(st.integers(0, 29)) == 0:
        return draw(anything)
    match schema:
        case {"$ref": "#/$defs/template"}:
            drawn = draw(scalars)
        case {"$ref": str(reference)}:
            drawn = drawn_from(SCHEMA["$defs"][reference.removeprefix("#/$defs/")], draw)
        case {"anyOf": options}:
            drawn = drawn_from(draw(st.sampled_from(options)), draw)
        case {"if": {"anyOf": when_off}, "else": when_on}:
            drawn = drawn_from(draw(st.sampled_from([*when_off, *[when_on] * 6])), draw)
        case {"enum": values}:
            drawn = draw(st.sampled_from(values))
        case {"const": drawn}:
            pass
        case _:
            drawn = drawn_by_type(schema, draw)
    return drawn


def drawn_by_type(schema: Mapping[str, Any], draw: Draw) -> Any:
    match schema:
        case {"type": "object" | ["object", "null"]}:
            return drawn_object(schema, draw)
        case {"type": "array"}:
            items = schema.get("prefixItems") or [schema.get("items", True)] * draw(st.integers(0, 3))
            return [drawn_from(item, draw) for item in items]
        case {"type": "integer" | "number" | "string" as kind}:
            return draw(single_values(kind, schema))
        case {"type": "null"}:
            return None
    return draw(anything)


def single_values(kind: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "integer":
        return st.integers(schema.get("minimum", -5), schema.get("maximum", 200)) | whole_floats
    if kind == "number":
        return st.floats(0.001, 500) | st.integers(0, 500)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=True)
    return st.text(characters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 9))


def drawn_object(schema: Mapping[str, Any], draw: Draw) -> dict[str, Any]:
    properties = schema.get("properties", {})
    known = st.lists(st.sampled_from(sorted(properties)), max_size=5) if properties else st.just([])
    chosen = [*schema.get("required", []), *draw(known)]
    if chosen and draw(st.integers(0, 11)) == 0:
        chosen.pop()
    drawn = {key: drawn_from(properties[key], draw) for key in chosen}
    others = schema.get("additionalProperties", True)
    if draw(st.integers(0, 11)) == 0 or (others and not properties):
        drawn |= {key: drawn_from(others, draw) for key in draw(st.lists(texts, max_size=2))}
    return drawn


@st.composite
def documents(draw: Draw) -> Any:
    """Half of them are a plugin's settings and nothing else, or the chance that a document is accepted gets small."""
    if draw(st.booleans()):
        return drawn_object(SCHEMA, draw)
    name = draw(st.sampled_from(["everything", "everything", "demanding"]))
    section = SCHEMA["properties"]["plugins"]["anyOf"][0]["properties"][name]["else"]["anyOf"][0]
    return {"plugins": {name: drawn_object(section, draw)}}


def loader_accepts(path: Path, text: str) -> bool:
    path.write_text(text, encoding="utf-8")
    try:
        config = load_config([path], environ={})
        for name in SETTINGS_TYPES:
            if name in config.plugins and config.plugins[name].enabled:
                config.settings_of(name, SETTINGS_TYPES[name])
    except ConfigError:
        return False
    return True


def in_blocks(value: Any, indent: str = "") -> str:
    """The document the way people write it: indented, words of switches without quotes."""
    if isinstance(value, dict) and value:
        return "".join(
            f"\n{indent}{json.dumps(k, ensure_ascii=False)}: {in_blocks(v, indent + '  ')}" for k, v in value.items()
        )
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}- {in_blocks(item, indent + '  ')}" for item in value)
    return value if isinstance(value, str) and value in WORDS else json.dumps(value, ensure_ascii=False)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("documents") / "config.yaml"


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents())
def test_a_document_is_accepted_by_the_schema_exactly_when_the_loader_accepts_it(path, document):
    accepted = VALIDATOR.is_valid(document)

    assert accepted == loader_accepts(path, json.dumps(document, ensure_ascii=False)), document


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents())
def test_what_the_loader_accepts_with_plain_words_an_editor_accepts_as_it_reads_them(path, document):
    accepted = loader_accepts(path, in_blocks(document))

    assert not accepted or VALIDATOR.is_valid(document), document
