"""What a settings class says about its keys: their names, their meaning, and whether they hold a secret."""

from collections.abc import Collection, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from powerstrip.host.config.document import ConfigPath

_SECRETS = (Secret, SecretBytes, SecretStr)


class Shape:
    """Follows config paths through a settings class and the classes nested in it."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def reveals(self, path: ConfigPath) -> bool:
        """Whether what stands at `path` is known to be no secret; of unknown keys nothing is known."""
        found = self._types(path)
        return bool(found) and not any(_holds_secret(kind, ()) for kind in found)

    def keys(self, path: ConfigPath) -> list[str]:
        """The keys that the mapping at `path` may have; none when any will do."""
        return [key for kind in self._types(path) if _is_model(kind) for key in _fields(kind)]

    def description(self, path: ConfigPath) -> str | None:
        """What the setting at `path` means, in one line."""
        if not path:
            return None
        fields = (_fields(kind).get(str(path[-1])) for kind in self._types(path[:-1]) if _is_model(kind))
        text = next((field.description for field in fields if field and field.description), None)
        return " ".join(text.split()) if text else None

    def _types(self, path: ConfigPath) -> list[Any]:
        found: list[Any] = [self._model]
        for step in path:
            found = [inner for kind in found for part in _inside(kind, step) for inner in _alternatives(part)]
        return found


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The types that an annotation stands for, with unions and aliases taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for option in get_args(annotation):
            yield from _alternatives(option)
    elif hasattr(annotation, "__value__"):  # an alias made by `type X = ...`
        yield from _alternatives(annotation.__value__)
    else:
        yield annotation


def _inside(kind: Any, step: str | int) -> list[Any]:
    """The types of what stands under `step` in a value of this type."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if _is_model(kind):
        field = _fields(kind).get(str(step))
        return [field.annotation] if field else []
    if kind is Any or not isinstance(origin, type):
        return [Any] if kind is Any else []
    if issubclass(origin, Mapping):
        return list(arguments[1:]) or [Any]
    if origin is tuple and isinstance(step, int) and Ellipsis not in arguments:
        return list(arguments[step : step + 1])
    is_item = issubclass(origin, Collection) and not issubclass(origin, str | bytes) and isinstance(step, int)
    return list(arguments[:1]) or [Any] if is_item else []


def _holds_secret(kind: Any, seen: tuple[Any, ...]) -> bool:
    """Whether a value of this type is a secret, or may hold one somewhere inside."""
    if kind in seen:
        return False
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, _SECRETS):
        return True
    inner = [field.annotation for field in _fields(kind).values()] if _is_model(kind) else get_args(kind)
    parts = [part for argument in inner for part in _alternatives(argument)]
    return any(_holds_secret(part, (*seen, kind)) for part in parts)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the key that the config knows them under."""
    return {_key(name, field): field for name, field in model.model_fields.items()}


def _key(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
