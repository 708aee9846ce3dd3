"""YAML text to a tree in which every key and value knows its place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from powerstrip.contract.errors import ConfigError
from powerstrip.contract.findings import Finding
from powerstrip.host.config.codes import ConfigCode
from powerstrip.host.config.scalars import ScalarValue, has_leading_zero, read_plain
from powerstrip.host.config.source import Source, Span, shortened
from powerstrip.host.config.syntax import syntax_findings

MAX_NODES = 100_000
MAX_DEPTH = 64

ConfigPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value: its `text`, and the `value` that the text means.

    `plain` is a scalar without quotes. One that `adapts` was not typed into the file (it comes from a variable or an
    option), so nobody could quote it: it becomes text where text is wanted. One that is a `template` or comes from a
    `secret_file` is never shown, nor is a `doubtful` one, which stands where only a switch can. A `broken` one has
    been reported, its value means nothing.
    """

    span: Span
    text: str = field(repr=False)
    value: ScalarValue = field(repr=False)
    plain: bool = False
    adapts: bool = False
    template: bool = False
    secret_file: bool = False
    doubtful: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class SequenceNode:
    span: Span
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, with the span of the key and the node of the value."""

    key: Span
    node: "Node"


@dataclass(frozen=True, slots=True)
class MappingNode:
    """`repeated` are entries whose key stood before: they are reported and have no effect."""

    span: Span
    entries: Mapping[str, Entry]
    repeated: tuple[tuple[str, Entry], ...] = ()

    def written(self) -> Iterator[tuple[str, Entry]]:
        """All entries that stand in the source."""
        yield from self.entries.items()
        yield from self.repeated


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True)
class Document:
    """What a source says; `root` is None when the source is empty."""

    source: Source
    root: Node | None
    findings: tuple[Finding, ...] = ()


def compose(source: Source, start: int = 0) -> Document:
    """Read the YAML that `source` holds from index `start` on.

    Raises ConfigError when there is no tree to read on with; findings that leave one are in the document.
    """
    composer = _Composer(source, start)
    try:
        root = composer.document()
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError) as error:
        raise ConfigError(syntax_findings(error, source, start)) from None
    return Document(source, root, tuple(composer.findings))


def plain_data(node: Node) -> Any:
    """The values of a tree, without their places."""
    match node:
        case MappingNode():
            return {key: plain_data(entry.node) for key, entry in node.entries.items()}
        case SequenceNode():
            return [plain_data(item) for item in node.items]
        case ScalarNode():
            return node.value


def walk(node: Node, path: ConfigPath = ()) -> Iterator[tuple[ConfigPath, Node]]:
    """Every node with its path, parents first, those of repeated keys included."""
    yield path, node
    if isinstance(node, MappingNode):
        for key, entry in node.written():
            yield from walk(entry.node, (*path, key))
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield from walk(item, (*path, index))


def nearest_entry(root: Entry, path: ConfigPath) -> Entry:
    """What stands at `path` below `root`, or else at the longest part of it that there is."""
    entry = root
    for step in path:
        found = _child(entry.node, step)
        if found is None:
            break
        entry = found
    return entry


def node_at(root: Node, path: ConfigPath) -> Node | None:
    """What stands at `path`, None when nothing does."""
    node = root
    for step in path:
        found = _child(node, step)
        if found is None:
            return None
        node = found.node
    return node


def _child(node: Node, step: str | int) -> Entry | None:
    if isinstance(node, MappingNode):
        return node.entries.get(str(step))
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
        item = node.items[step]
        return Entry(item.span, item)
    return None


def map_scalars(node: Node, change: Callable[[ScalarNode], ScalarNode]) -> Node:
    """The same tree with every scalar changed."""
    match node:
        case MappingNode(span, entries, repeated):
            changed = {key: replace(entry, node=map_scalars(entry.node, change)) for key, entry in entries.items()}
            return MappingNode(span, changed, repeated)
        case SequenceNode(span, items):
            return SequenceNode(span, tuple(map_scalars(item, change) for item in items))
        case ScalarNode():
            return change(node)


def written_scalar(span: Span, text: str, findings: list[Finding], **marks: bool) -> ScalarNode:
    """A scalar without quotes; what is wrong with it as a number goes to `findings`."""
    try:
        value = read_plain(text)
    except ValueError as error:
        findings.append(span.finding(ConfigCode.NUMBER, str(error), hint="quote it if it is text"))
        return ScalarNode(span, text, None, plain=True, broken=True)
    return ScalarNode(span, text, value, plain=True, **marks)


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int
    height: int


class _Composer:
    """Builds the tree out of the parser's events, so that nothing is built that is too deep or too large."""

    def __init__(self, source: Source, start: int) -> None:
        self.findings: list[Finding] = []
        self._source = source
        self._start = start
        self._events: Iterator[Any] = yaml.parse(source.text[start:], Loader=yaml.CSafeLoader)
        self._anchors: dict[str, _Anchored] = {}
        self._size = 0
        self._deepest = 0

    def document(self) -> Node | None:
        root: Node | None = None
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.DocumentStartEvent):
            root = self._node(next(self._events), 1)
            next(self._events)  # the end of the document
            following = next(self._events)
            if isinstance(following, yaml.DocumentStartEvent):
                message = "a second document starts here; a config is one document"
                hint = "put it into a file of its own and name both with --config"
                raise self._span(following, following).refusal(ConfigCode.DOCUMENTS, message, hint=hint)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._grow(event, 1, depth)
        if event.tag not in {None, "!"}:
            hint = "leave the tag out; quote a value to make it text"
            self.findings.append(self._span(event, event).finding(ConfigCode.TAG, "tags are not supported", hint=hint))
        if event.anchor is None:
            return self._untagged(event, depth)
        size, deepest = self._size, self._deepest
        self._deepest = depth
        node = self._untagged(event, depth)
        self._anchors[event.anchor] = _Anchored(node, self._size - size + 1, self._deepest - depth)
        self._deepest = max(deepest, self._deepest)
        return node

    def _untagged(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        span = self._span(event, event)
        if event.style or event.tag is not None:
            return ScalarNode(span, event.value, event.value)
        scalar = written_scalar(span, event.value, self.findings)
        if has_leading_zero(event.value) and not scalar.broken:
            message = "this number is read as a decimal one: a zero in front does not make it octal"
            hint = "leave the zero out, or quote the value to make it text"
            self.findings.append(span.finding(ConfigCode.LEADING_ZERO, message, hint=hint, level="warning"))
        return scalar

    def _sequence(self, start: Any, depth: int) -> SequenceNode:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return SequenceNode(self._span(start, event), tuple(items))

    def _mapping(self, start: Any, depth: int) -> MappingNode:
        entries: dict[str, Entry] = {}
        repeated: list[tuple[str, Entry]] = []
        merged: list[MappingNode] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key, ScalarNode) and key.plain and key.text == "<<":
                merged += self._merge_sources(value)
            elif isinstance(key, ScalarNode):
                if key.text in entries:
                    self._refuse_repeated(key, entries[key.text])
                    repeated.append((key.text, Entry(key.span, value)))
                else:
                    entries[key.text] = Entry(key.span, value)
            else:
                message = "a key is text, this one is a mapping or a list"
                hint = "quote it; a ${...} inside [ ] or { } needs quotes too"
                self.findings.append(key.span.finding(ConfigCode.KEY, message, hint=hint))
        for source in merged:
            for name, entry in source.entries.items():
                entries.setdefault(name, entry)
        return MappingNode(self._span(start, event), entries, tuple(repeated))

    def _refuse_repeated(self, key: ScalarNode, first: Entry) -> None:
        line = first.key.position.line
        message = f"the key '{shortened(key.text)}' stands twice in this mapping, first on line {line}"
        self.findings.append(key.span.finding(ConfigCode.DUPLICATE_KEY, message, hint="remove one of them"))

    def _merge_sources(self, value: Node) -> list[MappingNode]:
        sources = list(value.items) if isinstance(value, SequenceNode) else [value]
        mappings = [source for source in sources if isinstance(source, MappingNode)]
        if len(mappings) < len(sources):
            message = "'<<' takes a mapping or a list of mappings"
            hint = "name one with an anchor: <<: *name"
            self.findings.append(value.span.finding(ConfigCode.MERGE, message, hint=hint))
        return mappings

    def _alias(self, event: Any, depth: int) -> Node:
        span = self._span(event, event)
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            # The name is not quoted: it may be a password that starts with '*'.
            message = "no finished value above has the anchor that this alias names"
            raise span.refusal(ConfigCode.ALIAS, message, hint="quote the value if it is text")
        self._grow(event, anchored.size, depth + anchored.height)
        return replace(anchored.node, span=span)

    def _grow(self, event: Any, size: int, depth: int) -> None:
        self._size += size
        self._deepest = max(self._deepest, depth)
        if self._size > MAX_NODES:
            message = (
                f"the document has more than {MAX_NODES} keys and values, aliases counted as often as they are used"
            )
            raise self._span(event, event).refusal(ConfigCode.TOO_LARGE, message)
        if depth > MAX_DEPTH:
            message = f"mappings and lists are nested more than {MAX_DEPTH} deep"
            raise self._span(event, event).refusal(ConfigCode.TOO_DEEP, message)

    def _span(self, first: Any, last: Any) -> Span:
        return Span(self._source, self._start + first.start_mark.index, self._start + last.end_mark.index)
