"""What `powerstrip new` writes: one plugin as its author would publish it, out of the templates beside this module."""

import keyword
import re
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path
from string import Template

from packaging.requirements import Requirement

import powerstrip
from powerstrip.contract.errors import PowerstripError
from powerstrip.host.discovery import discover_plugins

_FILES = (
    ("pyproject.toml", "pyproject.toml"),
    ("README.md", "README.md"),
    ("src/$package/__init__.py", "package.py"),
    ("src/$package/plugin.py", "plugin.py"),
    ("src/$package/routes.py", "routes.py"),
    ("src/$package/schemas.py", "schemas.py"),
    ("src/$package/service.py", "service.py"),
    ("src/$package/settings.py", "settings.py"),
    ("src/$package/py.typed", "py.typed"),
    ("tests/test_$name.py", "tests.py"),
)

# The sections of a config and the packages of the core: a plugin of that name would only confuse.
_RESERVED = frozenset(
    {"api", "app", "cli", "contract", "core", "host", "logging", "plugin", "plugins", "powerstrip", "server"}
    | {"standard", "testing"}
)
_PATTERN = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST = 30  # what is written stays within the width of a line


class BadNameError(PowerstripError):
    """No plugin can have that name."""


@dataclass(frozen=True, slots=True)
class PluginName:
    """A plugin's name, `lower_snake`, and the forms it takes in a distribution."""

    name: str

    @property
    def kebab(self) -> str:
        return self.name.replace("_", "-")

    @property
    def distribution(self) -> str:
        return f"powerstrip-{self.kebab}"

    @property
    def package(self) -> str:
        return f"powerstrip_{self.name}"

    @property
    def camel(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()


def plugin_name(text: str) -> PluginName:
    """The plugin's name out of what its author typed, `air-quality` or `air_quality`.

    Raises BadNameError when no plugin can have it, or an installed or first-party one has it already.
    """
    name = text.replace("-", "_")
    if name.startswith("powerstrip_"):
        raise BadNameError(f"{text!r}: leave out the 'powerstrip-', it is put in front for you")
    if not _PATTERN.fullmatch(name) or len(name) > _LONGEST:
        raise BadNameError(
            f"{text!r} is no plugin name: it takes lower-case letters and digits, in words joined by '-' or '_', "
            f"a letter first, at most {_LONGEST} characters"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise BadNameError(f"{text!r} is a word of Python's own: take another name")
    if name in _RESERVED:
        raise BadNameError(f"{text!r} is a name of the core's own: take another name")
    if name in _taken_names():
        raise BadNameError(f"a plugin '{name}' exists already, and two of one name can't be installed side by side")
    return PluginName(name)


def write_plugin(plugin: PluginName, parent: Path) -> Path:
    """Write `powerstrip-NAME/` below `parent` and return its path. Raises PowerstripError when it is there already."""
    root = parent / plugin.distribution
    contents = {root / _fill(path, plugin): _fill(_template(template), plugin) for path, template in _FILES}
    try:
        root.mkdir(parents=True)
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except FileExistsError as error:
        raise PowerstripError(f"{error.filename} exists already: nothing was written") from error
    except OSError as error:
        raise PowerstripError(f"{error.filename} can't be written: {error.strerror}") from error
    return root


def written_files(plugin: PluginName) -> list[str]:
    """The files that `write_plugin` writes, relative to the plugin's folder."""
    return [_fill(path, plugin) for path, _ in _FILES]


def _template(name: str) -> str:
    return (files("powerstrip.cli") / "templates" / f"{name}.template").read_text(encoding="utf-8")


def _fill(text: str, plugin: PluginName) -> str:
    major, minor, *_ = powerstrip.__version__.split(".")
    return Template(text).substitute(
        name=plugin.name,
        kebab=plugin.kebab,
        distribution=plugin.distribution,
        package=plugin.package,
        camel=plugin.camel,
        title=plugin.title,
        core_version=f"{major}.{minor}",
    )


def _taken_names() -> set[str]:
    discovery = discover_plugins()
    return {*discovery.plugins, *discovery.clashes, *_first_party_names()}


def _first_party_names() -> set[str]:
    """The plugins of the extra `standard`, installed or not."""
    wanted = [Requirement(line).name for line in requires("powerstrip") or ()]
    prefix = "powerstrip-"
    return {name.removeprefix(prefix).replace("-", "_") for name in wanted if name.startswith(prefix)}
