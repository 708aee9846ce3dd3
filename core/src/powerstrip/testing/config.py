"""Configs for tests, written as the file an operator would write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Quotes every text, so that none is read back as a number, a boolean or a date."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


def _path(dumper: yaml.SafeDumper, path: Path) -> yaml.ScalarNode:
    return _quoted(dumper, str(path))


_Dumper.add_representer(str, _quoted)
_Dumper.add_multi_representer(Path, _path)


class ConfigBuilder:
    """Writes configs into a folder, each into a file of its own, and returns its path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0

    def __call__(self, plugins: Mapping[str, Any], **sections: Any) -> Path:
        """`plugins` are the sections by name, `True` is a plugin with its defaults; `sections` are the core's own.

        `powerstrip_config({"greeter": {"language": "fr"}}, app={"debug": True})`
        """
        self._written += 1
        path = self._folder / f"config-{self._written}.yaml"
        document = {**sections, "plugins": {name: _plain(section) for name, section in plugins.items()}}
        path.write_text(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path


def _plain(value: Any) -> Any:
    """The value out of what YAML knows: read-only mappings and tuples are as good as dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
