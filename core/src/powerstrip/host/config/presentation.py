"""Findings made ready for an operator: owner, excerpt, order, and no more than can be read."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from powerstrip.contract.findings import Finding, Position
from powerstrip.contract.plugin import PluginSettings
from powerstrip.host.config.codes import MAX_FINDINGS, ConfigCode
from powerstrip.host.config.document import ConfigPath, Document, MappingNode
from powerstrip.host.config.excerpts import Excerpts
from powerstrip.host.config.settings import CORE_SECTIONS, SECTION_KEYS
from powerstrip.host.config.shape import Shape


class Presenter:
    """Knows the documents that findings point into, and which of their values may be shown.

    Values of plugins are only shown where `settings_types` tells that they are no secrets.
    """

    def __init__(
        self, documents: Mapping[str, Document], settings_types: Mapping[str, type[PluginSettings]] | None = None
    ) -> None:
        self._documents = documents
        self._shapes = {name: Shape(model) for name, model in (settings_types or {}).items()}
        self._excerpts: dict[str, Excerpts] = {}

    def excerpt(self, position: Position) -> str | None:
        """The line with a caret, None for a place in no document."""
        document = self._documents.get(position.file)
        if document is None:
            return None
        excerpts = self._excerpts.setdefault(position.file, Excerpts(document, self._reveals))
        return excerpts.at(position)

    def complete(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings in the order of the documents, each one once, with owner and excerpt."""
        order = {name: index for index, name in enumerate(self._documents)}
        distinct = sorted(dict.fromkeys(findings), key=lambda finding: _place(finding, order))
        complete = [self._completed(finding) for finding in distinct[:MAX_FINDINGS]]
        if len(distinct) > MAX_FINDINGS:
            message = f"there are more findings, the first {MAX_FINDINGS} are shown"
            complete.append(Finding(ConfigCode.TOO_MANY.value, message, "mend these first"))
        return complete

    def _completed(self, finding: Finding) -> Finding:
        if finding.position is None:
            return finding
        plugin = finding.plugin or self._owner(finding.position)
        return replace(finding, plugin=plugin, excerpt=finding.excerpt or self.excerpt(finding.position))

    def _owner(self, position: Position) -> str | None:
        """The plugin whose section holds the position."""
        document = self._documents.get(position.file)
        if document is None or not isinstance(document.root, MappingNode) or "plugins" not in document.root.entries:
            return None
        plugins = document.root.entries["plugins"].node
        index = document.source.start_of(position.line) + position.column - 1
        sections = plugins.written() if isinstance(plugins, MappingNode) else ()
        return next((name for name, entry in sections if entry.key.start <= index < entry.node.span.end), None)

    def _reveals(self, path: ConfigPath) -> bool:
        match path:
            case (str(section), *inner) if section in CORE_SECTIONS:
                return Shape(CORE_SECTIONS[section]).reveals(tuple(inner))
            case ("plugins", _, str(key)) if key in SECTION_KEYS:
                return True
            case ("plugins", str(name), *inner) if name in self._shapes:
                return self._shapes[name].reveals(tuple(inner))
        return False


def _place(finding: Finding, order: Mapping[str, int]) -> tuple[int, int, int]:
    place = finding.position
    return (order.get(place.file, -1), place.line, place.column) if place else (len(order), 0, 0)
