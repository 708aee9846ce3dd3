"""The base class of every plugin and of its settings."""

from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

API_VERSION = "1.0"


class PluginSettings(BaseModel):
    """One plugin's validated section of the config.

    Unknown keys are refused, an attribute's docstring becomes its description in the config's JSON
    Schema, and a `SecretStr` is redacted wherever settings are shown. Instances are frozen: a
    changed setting means a reload.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


SettingsT = TypeVar("SettingsT", bound=PluginSettings)


class Plugin(Generic[SettingsT]):
    """A plugin: a class in a distribution, advertised under the entry-point group `powerstrip.plugins`.

    Life of an instance: 1. made from its checked settings; 2. asked to `register_…` what it brings,
    once, without I/O; 3. its `lifespan` is entered, dependencies first; 4. it serves; 5. its
    `lifespan` is left, dependants first. Whatever it keeps it keeps on the instance, so that two
    applications can live in one process.

    - `requires`: capabilities without which it can't work. Each plugin provides its own name.
    - `wants`: capabilities it uses when they are there; only the order depends on them.
    - `provides`: capabilities it offers beside its own name.
    - `conflicts`: capabilities that may not be present beside it.
    - `api`: the versions of this contract it works with, as a version specifier (PEP 440).
    """

    requires: ClassVar[tuple[str, ...]] = ()
    wants: ClassVar[tuple[str, ...]] = ()
    provides: ClassVar[tuple[str, ...]] = ()
    conflicts: ClassVar[tuple[str, ...]] = ()
    api: ClassVar[str] = ">=1.0,<2"

    settings_type: ClassVar[type[PluginSettings]] = PluginSettings

    def __init__(self, name: str, settings: SettingsT) -> None:
        """`name` is the entry-point name, the plugin's name everywhere; `settings` are its own, checked."""
        self.name = name
        self.settings = settings

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, PluginSettings):
                    cls.settings_type = argument


AnyPlugin = Plugin[Any]
