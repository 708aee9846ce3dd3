"""The effective values of a config, each with where it comes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from powerstrip.host.config.document import ConfigPath, Entry, Node, ScalarNode, nearest_entry, node_at, walk
from powerstrip.host.config.excerpts import REDACTED
from powerstrip.host.config.layers import ENVIRONMENT_NAME, OPTION_NAME
from powerstrip.host.config.settings import PluginSection, SectionSettings


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it takes effect: `origin` is `default`, a place in a file, `environment NAME` or `--set`."""

    path: ConfigPath
    value: Any
    origin: str


def settings_values(root: Entry, path: ConfigPath, settings: BaseModel) -> Iterator[Value]:
    """Every value of checked settings, defaults included. Secrets are redacted by their type."""
    # The fallback is for types that JSON does not know: a plugin may have any.
    data = settings.model_dump(mode="json", by_alias=True, fallback=str)
    from_files = _texts_from_files(nearest_entry(root, path).node)
    for leaf, value in _leaves(data, path):
        # By content, not by path: a validator may have moved the text of a file, or made it part of another.
        secret = any(text in str(value) for text in from_files)
        yield Value(leaf, REDACTED if secret else value, _origin(root, leaf))


def section_values(root: Entry, path: ConfigPath, section: PluginSection) -> Iterator[Value]:
    """The core's keys in a plugin's section; of a plugin that is off the others have no effect."""
    settings = SectionSettings(enabled=section.enabled, prefix=section.prefix, on_failure=section.on_failure)
    for value in settings_values(root, path, settings):
        if section.enabled or value.path == (*path, "enabled"):
            yield value


def hidden_values(root: Entry, path: ConfigPath, data: Mapping[str, Any]) -> Iterator[Value]:
    """Every value of a section whose settings class is not known: any of them could be a secret."""
    for leaf, _ in _leaves(data, path):
        yield Value(leaf, REDACTED, _origin(root, leaf))


def _leaves(data: Any, path: ConfigPath) -> Iterator[tuple[ConfigPath, Any]]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from _leaves(value, (*path, index))
    else:
        yield path, data


def _texts_from_files(node: Node) -> set[str]:
    scalars = (found for _, found in walk(node) if isinstance(found, ScalarNode))
    return {scalar.text for scalar in scalars if scalar.secret_file and scalar.text}


def _origin(root: Entry, path: ConfigPath) -> str:
    if node_at(root.node, path) is None:
        return "default"
    place = nearest_entry(root, path).key.position
    if place.file.startswith(ENVIRONMENT_NAME):
        return f"environment {place.file.removeprefix(ENVIRONMENT_NAME)}"
    if place.file.startswith(OPTION_NAME):
        return OPTION_NAME.strip()
    return f"{place.file}:{place.line}:{place.column}"
