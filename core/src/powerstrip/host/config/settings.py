"""The core's own sections of the config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from powerstrip.contract.plugin import PluginSettings

PathPrefix = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]+)*$")]
"""Nothing, or a path that starts with `/` and does not end with it."""

Seconds = Annotated[float, Field(ge=0, le=86_400)]


class CoreSettings(BaseModel):
    """One of the core's sections: unknown keys are refused, instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AppSettings(CoreSettings):
    """What the API says about itself."""

    title: str = Field(default="Powerstrip API", min_length=1)
    """Title of the API, in the OpenAPI document and its pages."""

    version: str = Field(default="0.1.0", min_length=1)
    """Version of the API, not of Powerstrip."""

    description: str = ""
    """What the API is for, in Markdown."""

    debug: bool = False
    """Sends the tracebacks of unexpected errors to clients. Never where strangers can call."""

    docs: bool | None = None
    """Serves `/docs`, `/redoc` and `/openapi.json`; when not stated, only while `debug` is on."""

    @property
    def docs_enabled(self) -> bool:
        return self.debug if self.docs is None else self.docs


class ApiSettings(CoreSettings):
    """Where the versioned routes are."""

    prefix: PathPrefix = "/api"
    """The path before the version: starts with `/` and does not end with it, or is empty."""


class ServerSettings(CoreSettings):
    """How `powerstrip serve` serves. Times are in seconds."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; `0.0.0.0` or `::` listens on all."""

    port: int = Field(default=8000, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one."""

    workers: int = Field(default=1, ge=1, le=64)
    """Number of processes."""

    reload: Literal["watch", "signal", "off"] = "watch"
    """What reloads the config: a change of its files or SIGHUP, only SIGHUP, or nothing."""

    drain_timeout: Seconds = 30.0
    """Time that requests in flight have to end before their plugin stops."""

    drain_delay: Seconds = 0.0
    """How long readiness is red before the listener closes, for load balancers to notice."""

    start_timeout: float = Field(default=30.0, gt=0, le=86_400)
    """Time that each plugin has to start."""

    stop_timeout: float = Field(default=10.0, gt=0, le=86_400)
    """Time that each plugin has to stop."""

    keep_alive: Seconds = 5.0
    """How long an idle connection is kept open."""

    backlog: int = Field(default=2048, ge=1, le=65_535)
    """Number of connections that may wait to be accepted."""

    limit_concurrency: int | None = Field(default=None, ge=1)
    """Number of connections and tasks above which new requests are answered 503; not limited when not stated."""

    header_timeout: float = Field(default=10.0, gt=0, le=86_400)
    """Time that a client has to send the head of a request."""

    max_message_size: int = Field(default=1_048_576, ge=1_024, le=67_108_864)
    """Largest message that a client may send over a WebSocket, in bytes; a larger one closes it with 1009."""

    max_header_size: int = Field(default=65_536, ge=1_024, le=1_048_576)
    """Largest head of a request, in bytes."""

    control: str | None = Field(default=None, min_length=1, max_length=100)
    """Path of the Unix socket for `powerstrip reload` and `powerstrip status`; when not stated, in a folder that only
    this user can read."""


class LoggingSettings(CoreSettings):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged."""

    format: Literal["console", "json", "auto"] = "auto"
    """Lines for people, or JSON for machines; `auto` writes JSON when the output is no terminal."""


class SectionSettings(PluginSettings):
    """The core's keys in each plugin's section."""

    enabled: bool = True
    """Switches the plugin on or off."""

    prefix: PathPrefix | None = None
    """Put before the paths of the plugin's routes: starts with `/` and does not end with it, or is empty."""

    on_failure: Literal["abort", "skip"] = "abort"
    """What happens when the plugin can't be composed or started: refuse to serve, or serve without it."""


@dataclass(frozen=True, slots=True)
class PluginSection:
    """One listed plugin: the core's keys, and in `data` the plugin's own, with `${...}` resolved but not checked."""

    name: str
    enabled: bool = True
    prefix: str | None = None
    on_failure: Literal["abort", "skip"] = "abort"
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


CORE_SECTIONS: Mapping[str, type[CoreSettings]] = {
    "app": AppSettings,
    "api": ApiSettings,
    "server": ServerSettings,
    "logging": LoggingSettings,
}

SECTION_KEYS = frozenset(SectionSettings.model_fields)
"""The keys of a plugin's section that the plugin itself does not see."""
