"""The state that a package keeps at module level: what two applications in one process would share."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

_VALUES = (str, bytes, int, float, complex, bool, type(None), Enum)
_NOT_STATE = (ModuleType, FunctionType, classmethod, staticmethod, property)


class ModuleState:
    """The values of a package's modules and classes at one moment."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._seen: list[Any] = []  # kept alive, so that no new object takes over an identity
        self._values = self._read()
        self._owners = {path for path, value in _state_of(package) if isinstance(value, type | ModuleType)}

    def changes(self) -> list[str]:
        """The names whose values are not what they were, and new names in modules and classes that were there."""
        return sorted(path for path, value in self._read().items() if self._is_other(path, value))

    def _is_other(self, path: str, value: Any) -> bool:
        if path in self._values:
            return bool(self._values[path] != value)
        was_imported_since = path in sys.modules
        return path.rpartition(".")[0] in self._owners and not was_imported_since

    def _read(self) -> dict[str, Any]:
        return {path: self._fingerprint(value, ()) for path, value in _state_of(self._package)}

    def _fingerprint(self, value: Any, inside: tuple[int, ...]) -> Any:
        """Something that is equal as long as the value is the same object with the same content."""
        if isinstance(value, _VALUES):
            return (type(value).__name__, value)
        self._seen.append(value)
        if id(value) in inside:
            return "itself"
        within = (*inside, id(value))
        return (id(value), [(key, self._fingerprint(inner, within)) for key, inner in self._content(value)])

    def _content(self, value: Any) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, Mapping):
            return ((repr(key), inner) for key, inner in value.items())
        if isinstance(value, list | tuple | deque):
            return enumerate(value)
        if isinstance(value, set | frozenset | bytearray):
            return enumerate(sorted(map(repr, value)))
        if _belongs_to(self._package, type(value).__module__):
            return getattr(value, "__dict__", {}).items()
        return ()


def package_of(plugin_class: type) -> str:
    """The outermost regular package of a plugin's class; its module where it is in none."""
    package, _, rest = plugin_class.__module__.partition(".")
    while rest and getattr(sys.modules.get(package), "__file__", None) is None:
        following, _, rest = rest.partition(".")
        package = f"{package}.{following}"
    return package


def _belongs_to(package: str, module: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _state_of(package: str) -> Iterator[tuple[str, Any]]:
    for name, module in list(sys.modules.items()):
        if _belongs_to(package, name):
            yield name, module
            yield from _names_in(name, vars(module))


def _names_in(owner: str, namespace: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in list(namespace.items()):
        path = f"{owner}.{name}"
        if name.startswith("__") or isinstance(value, _NOT_STATE):
            continue
        if not isinstance(value, type):
            yield path, value
        elif f"{value.__module__}.{value.__qualname__}" == path and not issubclass(value, Enum):
            yield path, value
            yield from _names_in(path, vars(value))
