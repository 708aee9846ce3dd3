"""Several sources made into one tree: files, then the environment, then `--set`; later ones win."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from powerstrip.contract.errors import ConfigError
from powerstrip.contract.findings import Finding
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.document import Document, Entry, MappingNode, Node, ScalarNode, compose, written_scalar
from powerstrip.host.config.settings import CORE_SECTIONS
from powerstrip.host.config.source import Source, Span, first_not_text

ENVIRONMENT_PREFIX = "POWERSTRIP__"
ENVIRONMENT_NAME = "environment variable "
OPTION_NAME = "--set "

# A value that starts like this is read as YAML; any other is taken as it stands: a password may hold ' #' or ': '.
_STRUCTURED = re.compile(r"\s*[\[{'\"]")

Key = tuple[str, Span]


def normalise(document: Document) -> tuple[MappingNode, list[Finding]]:
    """The document as a mapping of sections, with each plugin's section as a mapping.

    `health: on` becomes `{enabled: on}`, and so does an empty body; other empty sections hold nothing.
    """
    empty = MappingNode(Span(document.source, 0, 0), {})
    root = document.root
    if root is None or _is_null(root):
        return empty, []
    if not isinstance(root, MappingNode):
        message = f"a config is a mapping of sections: {', '.join([*CORE_SECTIONS, 'plugins'])}"
        return empty, [root.span.finding(ConfigCode.WRONG_TYPE, message, hint="start with 'plugins:'")]
    sections = dict(root.entries)
    for name in [name for name in (*CORE_SECTIONS, "plugins") if name in sections]:
        node = sections[name].node
        if _is_null(node):
            sections[name] = replace(sections[name], node=MappingNode(node.span, {}))
        elif name == "plugins" and isinstance(node, MappingNode):
            sections[name] = replace(sections[name], node=_with_full_sections(node))
    return MappingNode(root.span, sections), []


def merge(base: MappingNode, over: MappingNode) -> MappingNode:
    """`over` on top of `base`: mappings merge key by key and keep the place of the first, all else is replaced."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        known = entries.get(key)
        if known and isinstance(known.node, MappingNode) and isinstance(entry.node, MappingNode):
            entry = replace(known, node=merge(known.node, entry.node))  # noqa: PLW2901 - the merged one takes its place
        entries[key] = entry
    return MappingNode(base.span, entries)


def environment_layers(environ: Mapping[str, str], base: MappingNode) -> tuple[list[Document], list[Finding]]:
    """A document for each variable `POWERSTRIP__SECTION__KEY`; `base` tells how keys are written."""
    names = sorted(name for name in environ if name.upper().startswith(ENVIRONMENT_PREFIX))
    documents: list[Document] = []
    findings: list[Finding] = []
    for name in names:
        source = Source(f"{ENVIRONMENT_NAME}{name}", f"{name}={environ[name]}")
        keys = _keys(source, len(ENVIRONMENT_PREFIX), len(name), "__")
        _add_layer(_spelled_like(base, keys), Span(source, len(name) + 1, len(source.text)), documents, findings)
    return documents, findings


def option_layers(overrides: Sequence[str]) -> tuple[list[Document], list[Finding]]:
    """A document for each `--set section.key=value`."""
    documents: list[Document] = []
    findings: list[Finding] = []
    for override in overrides:
        name, equals, _ = override.partition("=")
        source = Source(f"{OPTION_NAME}{name}", override)
        keys = _keys(source, 0, len(name), ".") if equals else []
        _add_layer(keys, Span(source, len(name) + 1, len(override)), documents, findings)
    return documents, findings


def _keys(source: Source, start: int, end: int, separator: str) -> list[Key]:
    """The keys that the name of an override is made of; none when one of them is empty."""
    keys: list[Key] = []
    for part in source.text[start:end].split(separator):
        keys.append((part, Span(source, start if keys else 0, start + len(part))))
        start += len(part) + len(separator)
    return keys if all(part for part, _ in keys) else []


def _add_layer(keys: list[Key], value: Span, documents: list[Document], findings: list[Finding]) -> None:
    if not keys:
        hint = "write --set section.key=value, or POWERSTRIP__SECTION__KEY=value"
        start = Span(value.source, 0, 0)
        findings.append(start.finding(ConfigCode.OVERRIDE, "it does not say which key it sets", hint=hint))
        return
    if first_not_text(value.source.text):
        findings.append(value.finding(ConfigCode.ENCODING, "it holds a character that is not text"))
        return
    try:
        node = _override_value(value, findings)
    except ConfigError as error:
        findings += error.findings
        return
    for key, span in reversed(keys):
        node = MappingNode(Span(value.source, span.start, value.end), {key: Entry(span, node)})
    documents.append(Document(value.source, node))


def _override_value(span: Span, findings: list[Finding]) -> Node:
    if not _STRUCTURED.match(span.text):
        return written_scalar(span, span.text, findings, adapts=True)
    document = compose(span.source, span.start)
    findings += document.findings
    return document.root or written_scalar(span, span.text, findings, adapts=True)


def _spelled_like(base: MappingNode, keys: list[Key]) -> list[Key]:
    """The keys that a variable's name means: as the config writes them, or else in lower case."""
    spelled: list[Key] = []
    node: Node | None = base
    for part, span in keys:
        known = node.entries if isinstance(node, MappingNode) else {}
        key = next((key for key in known if key.upper().replace("-", "_") == part.upper()), part.lower())
        node = known[key].node if key in known else None
        spelled.append((key, span))
    return spelled


def _with_full_sections(plugins: MappingNode) -> MappingNode:
    return MappingNode(
        plugins.span, {name: replace(entry, node=_full_section(entry.node)) for name, entry in plugins.entries.items()}
    )


def _full_section(node: Node) -> Node:
    if isinstance(node, MappingNode):
        return node
    if _is_null(node):
        node = ScalarNode(node.span, "on", value=True)
    elif isinstance(node, ScalarNode):
        # With a wrong indentation it is a setting, and maybe a secret one, that stands in the place of a plugin.
        node = replace(node, doubtful=True)
    return MappingNode(node.span, {"enabled": Entry(node.span, node)})


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None and not node.broken
