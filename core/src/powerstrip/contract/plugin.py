"""The base class of every plugin and of its settings."""

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from powerstrip.contract.services import Services

API_VERSION = "1.0"


class PluginSettings(BaseModel):
    """One plugin's validated section of the config.

    Unknown keys are refused, an attribute's docstring becomes its description in the config's JSON
    Schema, and a `SecretStr` is redacted wherever settings are shown. Instances are frozen: a
    changed setting means a reload, and equal settings mean that nothing changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


SettingsT = TypeVar("SettingsT", bound=PluginSettings)


class Plugin(Generic[SettingsT]):
    """A plugin: a class in a distribution, advertised under the entry-point group `powerstrip.plugins`.

    Life of an instance: 1. made from its checked settings; 2. asked to `register_…` what it brings,
    once, without I/O; 3. its `lifespan` is entered, dependencies first; 4. it serves; 5. its
    `lifespan` is left, dependants first. Whatever it keeps it keeps on the instance, so that two
    applications can live in one process.

    A reload keeps an instance whose settings are the same and which would find the same services and hooks: it serves
    on in the next generation, open connections, counters and background tasks included. Any other is started anew
    beside it. `reconfigure` and `adapt` let an instance stay where it would otherwise be replaced.

    - `requires`: capabilities without which it can't work. Each plugin provides its own name.
    - `wants`: capabilities it uses when they are there; only the order depends on them.
    - `provides`: capabilities it offers beside its own name.
    - `conflicts`: capabilities that may not be present beside it.
    - `shared_through`: capabilities, any of which makes several processes work as one; where there is none of them, and
      `server.workers` is above 1, that is a warning.
    - `api`: the versions of this contract it works with, as a version specifier (PEP 440).
    """

    requires: ClassVar[tuple[str, ...]] = ()
    wants: ClassVar[tuple[str, ...]] = ()
    provides: ClassVar[tuple[str, ...]] = ()
    conflicts: ClassVar[tuple[str, ...]] = ()
    shared_through: ClassVar[tuple[str, ...]] = ()
    api: ClassVar[str] = ">=1.0,<2"

    settings_type: ClassVar[type[PluginSettings]] = PluginSettings

    def __init__(self, name: str, settings: SettingsT) -> None:
        """`name` is the entry-point name, the plugin's name everywhere; `settings` are its own, checked."""
        self.name = name
        self.settings = settings

    def reconfigure(self, settings: SettingsT) -> Callable[[], None] | None:  # noqa: ARG002 - for those that override it
        """Take over other settings in place, so that what the instance holds goes on, like the counts of a rate limit.

        Asked while a reload is prepared, and this instance serves: it changes nothing yet, for the reload may still
        fail. It returns what will switch over, which is called at the swap with `self.settings` set; that must be quick
        and may not fail. None means that it can't, and the plugin is started anew. What it has registered stays as it
        is, so return None for settings that decide about routes, interceptors, checks or tasks.
        """
        return None

    async def adapt(self, services: Services) -> Callable[[], None]:
        """Take over what other plugins contribute to the hooks that this one called while it started.

        Where it is not implemented, the plugin is started anew when such a contribution comes, goes or changes. It is
        awaited while a reload is prepared, before any plugin after this one starts; `services` shows the next
        generation, `services[HookCalls]` its contributions. It may prepare for them (make their tables, say), and
        returns what will switch over at the swap: that must be quick and may not fail. Raising makes the reload fail.
        """
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, PluginSettings):
                    cls.settings_type = argument


AnyPlugin = Plugin[Any]
