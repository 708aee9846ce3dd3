"""The sources that plugins offer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from powerstrip import ExportSource, HookCalls, Identity
from powerstrip_exports.domain import Selection, masked_for
from powerstrip_exports.errors import ColumnNotKnown
from powerstrip_exports.schemas import ExportOptions
from powerstrip_exports.settings import Budget, ExportsSettings

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_RESERVED = frozenset(("jobs",))


@dataclass(frozen=True, slots=True)
class OfferedSource:
    """A source and the plugin that offers it."""

    plugin: str
    source: ExportSource


class Catalog:
    """All sources by name, and what each caller may have of them."""

    def __init__(self, hooks: HookCalls, settings: ExportsSettings) -> None:
        """Ask the plugins. Raises ValueError when a source can't be offered."""
        self._settings = settings
        self._offered: dict[str, OfferedSource] = {}
        for plugin, sources in hooks.call_each("register_exports"):
            for source in sources or ():
                self._add(OfferedSource(plugin, source))

    def _add(self, offered: OfferedSource) -> None:
        source = offered.source
        where = f"plugin '{offered.plugin}' offers '{source.name}'"
        faults = [*_faults(source)]
        if source.name in self._offered:
            faults.append(f"which plugin '{self._offered[source.name].plugin}' offers too")
        if faults:
            raise ValueError(f"{where}, {faults[0]}")
        self._offered[source.name] = offered

    def __iter__(self) -> Iterator[OfferedSource]:
        return iter(self._offered.values())

    def find(self, name: str) -> OfferedSource | None:
        return self._offered.get(name)

    def visible_to(self, caller: Identity) -> list[ExportSource]:
        """The sources that the caller may read, by name."""
        sources = [offered.source for _, offered in sorted(self._offered.items())]
        return [source for source in sources if may_read(caller, source)]

    def select(self, source: ExportSource, names: Sequence[str] | None, caller: Identity | None) -> Selection:
        """The columns of these names, in that order; all of them for None. Raises ColumnNotKnown."""
        by_name = {column.name: column for column in source.columns}
        unknown = [name for name in names or () if name not in by_name]
        if unknown:
            details = [{"column": name, "known": list(by_name)} for name in unknown[:10]]
            raise ColumnNotKnown(details=details)
        columns = list(source.columns) if names is None else [by_name[name] for name in names]
        masks = self._settings.mask.get(source.name, {})
        return Selection(source, columns, masked_for(source, caller, masks))

    def budget_of(self, caller: Identity | None) -> Budget:
        """What the caller may export; an operator at the command line has no limits."""
        if caller is None:
            return Budget()
        stated = [self._settings.budgets[role] for role in caller.roles if role in self._settings.budgets]
        return _largest(stated) if stated else self._settings.budget


def may_read(caller: Identity, source: ExportSource) -> bool:
    """Whether the caller may export it; where it needs no permission, whoever is signed in may."""
    return source.permission is None or caller.may(source.permission)


def _largest(budgets: Sequence[Budget]) -> Budget:
    def most(name: str) -> int | None:
        limits = [getattr(budget, name) for budget in budgets]
        return None if None in limits else max(limits)

    return Budget(
        rows=most("rows"),
        bytes=most("bytes"),
        streams=max(budget.streams for budget in budgets),
        downloads=max(budget.downloads for budget in budgets),
        watches=max(budget.watches for budget in budgets),
        jobs=max(budget.jobs for budget in budgets),
    )


def _faults(source: ExportSource) -> Iterator[str]:
    names = [column.name for column in source.columns]
    if not _NAME.fullmatch(source.name) or source.name in _RESERVED:
        yield "and names are lower-case letters, digits, '-' and '_', and not 'jobs'"
    if not names or len(set(names)) < len(names):
        yield "and it needs columns, each with a name of its own"
    if (source.query is None) == (source.batches is None):
        yield "and it needs either a query or batches"
    taken = set(source.filters.model_fields if source.filters else ()) & set(ExportOptions.model_fields)
    if taken:
        yield f"and its filter '{min(taken)}' is a parameter of every export"


def filters_of(source: ExportSource, wanted: Any) -> Any:
    """An instance of the source's own filter model, out of a request that holds its fields."""
    if source.filters is None:
        return None
    fields = source.filters.model_fields
    values: Mapping[str, Any] = {name: getattr(wanted, name) for name in fields}
    return source.filters.model_construct(_fields_set=wanted.model_fields_set & set(fields), **values)
