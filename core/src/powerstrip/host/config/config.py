"""The step load: files, the environment and options become one checked, immutable config."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel

from powerstrip.contract.errors import ConfigError
from powerstrip.contract.findings import Finding, Level, Position
from powerstrip.contract.plugin import PluginSettings
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.document import (
    ConfigPath,
    Document,
    Entry,
    MappingNode,
    Node,
    compose,
    nearest_entry,
    plain_data,
)
from powerstrip.host.config.files import Files
from powerstrip.host.config.interpolation import Interpolator
from powerstrip.host.config.layers import environment_layers, merge, normalise, option_layers
from powerstrip.host.config.presentation import Presenter
from powerstrip.host.config.settings import (
    CORE_SECTIONS,
    SECTION_KEYS,
    ApiSettings,
    AppSettings,
    LoggingSettings,
    PluginSection,
    SectionSettings,
    ServerSettings,
)
from powerstrip.host.config.shape import Shape
from powerstrip.host.config.source import Source, Span, read_source, shortened
from powerstrip.host.config.validation import SettingsCheck
from powerstrip.host.config.values import Value, hidden_values, section_values, settings_values
from powerstrip.host.config.wording import EXPECTED, described, did_you_mean, wrong_type

ModelT = TypeVar("ModelT", bound=BaseModel)
SettingsT = TypeVar("SettingsT", bound=PluginSettings)

_SECTIONS = (*CORE_SECTIONS, "plugins")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Config:
    """The whole document an operator wrote, from all its layers.

    `plugins` are the listed ones, on or off, in the order of the files. `files` are those the config was read from,
    `${file:}` ones included. `findings` are warnings, unless it was only read: see `read_config`.
    """

    app: AppSettings
    api: ApiSettings
    server: ServerSettings
    logging: LoggingSettings
    plugins: Mapping[str, PluginSection]
    files: tuple[Path, ...]
    findings: tuple[Finding, ...]
    _root: Entry = field(repr=False, compare=False)
    _documents: Mapping[str, Document] = field(repr=False, compare=False)

    @property
    def has_errors(self) -> bool:
        return any(finding.level == "error" for finding in self.findings)

    def position(self, path: ConfigPath) -> Position | None:
        """Where the key at `path` stands, or the nearest key around it."""
        place = nearest_entry(self._root, path).key
        return place.position if place.source.name else None

    def finding(
        self,
        path: ConfigPath,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        level: Level = "error",
        plugin: str | None = None,
    ) -> Finding:
        """A finding about what stands at `path`; its owner is the plugin in whose section that is, unless stated."""
        owner = plugin or (str(path[1]) if path[:1] == ("plugins",) and len(path) > 1 else None)
        place = self.position(path)
        return Finding(code, message, hint, level, place, owner, self.excerpt(place) if place else None)

    def excerpt(self, position: Position) -> str | None:
        """The line at `position` with a caret below, and no secret in it."""
        return Presenter(self._documents).excerpt(position)

    def settings_of(self, name: str, model: type[SettingsT]) -> SettingsT:
        """The checked settings of a listed plugin.

        Raises ConfigError with everything that is wrong with them, and TypeError for a class that has one of the
        core's keys as a field: it would never get a value.
        """
        if taken := sorted(SECTION_KEYS.intersection(Shape(model).keys(()))):
            raise TypeError(f"{model.__name__} can't have a field '{taken[0]}': that key of a section is the core's")
        section = nearest_entry(self._root, ("plugins", name))
        own = replace(section, node=_part(section.node, SECTION_KEYS, without=True))
        checked = SettingsCheck(model, own, f"plugins.{name}", other_keys=sorted(SECTION_KEYS)).run()
        if isinstance(checked, list):
            findings = [replace(finding, plugin=name) for finding in checked]
            raise ConfigError(Presenter(self._documents, {name: model}).complete(findings))
        return checked

    def values(self, settings_types: Mapping[str, type[PluginSettings]] | None = None) -> list[Value]:
        """Every effective value with its origin; secrets are redacted.

        Of plugins in `settings_types` that are on, defaults are included. Of all others the values are redacted, since
        only the type of a setting tells whether it is a secret. Raises ConfigError like `settings_of`.
        """
        known = settings_types or {}
        values = [
            value for name in CORE_SECTIONS for value in settings_values(self._root, (name,), getattr(self, name))
        ]
        for name, section in self.plugins.items():
            path = ("plugins", name)
            values += section_values(self._root, path, section)
            if name in known and section.enabled:
                values += settings_values(self._root, path, self.settings_of(name, known[name]))
            else:
                values += hidden_values(self._root, path, section.data)
        return values


def load_config(
    paths: Sequence[Path | str], overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Config:
    """Read the files in order, then `POWERSTRIP__...` variables, then overrides (`section.key=value`); later ones win.

    Raises ConfigError with all findings of all of them. Plugins' own settings are checked by `Config.settings_of`, once
    their classes are known.
    """
    config = read_config(paths, overrides, environ)
    if config.has_errors:
        raise ConfigError(config.findings)
    return config


def read_config(
    paths: Sequence[Path | str],
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    files: Files | None = None,
) -> Config:
    """The same, for whoever has more to find: errors stand among `findings`, and defaults where they are.

    `compose` takes it and refuses it, together with all that is wrong with the plugins. `files` stands in for the disk.
    """
    environ = os.environ if environ is None else environ
    loading = _Loading(environ, files or Files())
    for path in paths:
        loading.add_file(Path(path), str(path))
    loading.add_layers(*environment_layers(environ, loading.root))
    loading.add_layers(*option_layers(overrides))
    return loading.config()


class _Loading:
    """The config while its layers are put on top of each other."""

    def __init__(self, environ: Mapping[str, str], source: Files) -> None:
        self.root = MappingNode(Span(Source("", ""), 0, 0), {})
        self._environ = environ
        self._source = source
        self._files: list[Path] = []
        self._documents: dict[str, Document] = {}
        self._findings: list[Finding] = []

    def add_file(self, path: Path, name: str) -> None:
        interpolator = Interpolator(self._environ, path.parent, self._source)
        self._files.append(path)
        try:
            source = read_source(path, name, self._source)
            self._documents[name] = Document(source, None)
            document = compose(source)
            self._documents[name] = document
            if document.root:
                document = replace(document, root=interpolator.resolve(document.root))
        except ConfigError as error:
            self._findings += error.findings
        else:
            self.add_layers([document], [*document.findings, *interpolator.findings])
        self._files += interpolator.files

    def add_layers(self, documents: Iterable[Document], findings: Iterable[Finding]) -> None:
        self._findings += findings
        for document in documents:
            self._documents[document.source.name] = document
            layer, refused = normalise(document)
            self._findings += refused
            base = self.root if self.root.span.source.name else replace(self.root, span=layer.span)
            self.root = merge(base, layer)

    def config(self) -> Config:
        """Check the core's sections and what the core needs of each plugin's."""
        self._refuse_unknown_sections()
        plugins = {name: self._section(name, entry) for name, entry in self._listed().items()}
        root = Entry(self.root.span, self.root)
        config = Config(
            app=self._checked(AppSettings, "app"),
            api=self._checked(ApiSettings, "api"),
            server=self._checked(ServerSettings, "server"),
            logging=self._checked(LoggingSettings, "logging"),
            plugins=MappingProxyType(plugins),
            files=tuple(dict.fromkeys(path.absolute() for path in self._files)),
            findings=(),
            _root=root,
            _documents=MappingProxyType(self._documents),
        )
        findings = Presenter(self._documents).complete([*self._findings, *_debug_for_strangers(config)])
        return replace(config, findings=tuple(findings))

    def _refuse_unknown_sections(self) -> None:
        for name, entry in self.root.entries.items():
            if name in _SECTIONS:
                continue
            homes = [f"{section}.{name}" for section, model in CORE_SECTIONS.items() if name in model.model_fields]
            sections = f"the sections are {', '.join(_SECTIONS)}; a plugin stands under 'plugins'"
            hint = f"did you mean '{homes[0]}'?" if homes else did_you_mean(name, _SECTIONS) or sections
            message = f"unknown section '{shortened(name)}'"
            self._findings.append(entry.key.finding(ConfigCode.UNKNOWN_KEY, message, hint=hint))

    def _checked(self, model: type[ModelT], name: str) -> ModelT:
        """The settings of a core section; its defaults when they are wrong, which is reported."""
        entry = self.root.entries.get(name) or Entry(self.root.span, MappingNode(self.root.span, {}))
        return self._settings_or_defaults(SettingsCheck(model, entry, name), model)

    def _settings_or_defaults(self, check: SettingsCheck[ModelT], model: type[ModelT]) -> ModelT:
        checked = check.run()
        if isinstance(checked, list):
            self._findings += checked
            return model.model_validate({})
        return checked

    def _listed(self) -> Mapping[str, Entry]:
        entry = self.root.entries.get("plugins")
        if entry is None:
            return {}
        if isinstance(entry.node, MappingNode):
            return entry.node.entries
        message = f"'plugins': {wrong_type([EXPECTED['dict_type']], described(entry.node, shown=False))}"
        hint = "write a line for each plugin: 'name: on'"
        self._findings.append(entry.node.span.finding(ConfigCode.WRONG_TYPE, message, hint=hint))
        return {}

    def _section(self, name: str, entry: Entry) -> PluginSection:
        """The keys that the core reads; of a plugin that is off only its switch."""
        switch = replace(entry, node=_part(entry.node, {"enabled"}))
        settings = self._settings_or_defaults(
            SettingsCheck(SectionSettings, switch, f"plugins.{name}"), SectionSettings
        )
        if settings.enabled:
            core = replace(entry, node=_part(entry.node, SECTION_KEYS))
            settings = self._settings_or_defaults(
                SettingsCheck(SectionSettings, core, f"plugins.{name}"), SectionSettings
            )
        data = MappingProxyType(plain_data(_part(entry.node, SECTION_KEYS, without=True)))
        return PluginSection(name, settings.enabled, settings.prefix, settings.on_failure, data)


def _part(node: Node, keys: Collection[str], *, without: bool = False) -> Node:
    """The mapping with some of its keys only, or without them."""
    if not isinstance(node, MappingNode):
        return node
    entries = {key: entry for key, entry in node.entries.items() if (key in keys) is not without}
    return MappingNode(node.span, entries)


def _debug_for_strangers(config: Config) -> list[Finding]:
    if not config.app.debug or config.server.host in _LOOPBACK:
        return []
    message = f"'app.debug' sends tracebacks to every client, and the server listens on {config.server.host}"
    hint = "switch app.debug off, or listen on 127.0.0.1"
    code = ConfigCode.DEBUG_EXPOSED.value
    return [config.finding(("app", "debug"), code, message, hint=hint, level="warning")]
