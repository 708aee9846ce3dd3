"""Pydantic's errors, found again in the config."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import ErrorDetails

from powerstrip.host.config.document import ConfigPath
from powerstrip.host.config.wording import CHOICES, EXPECTED

KEYED = frozenset({"missing", "extra_forbidden", "unexpected_keyword_argument"})
"""Errors about a key rather than about a value."""

UNION = "union"
"""The kind of a fault that stands for those of all members of a union."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One error. `path` leads to the value, or to the mapping that has or lacks `key`.

    In a union, `union` is where it stands and `option` names the member that was tried. `of_default` tells that the
    value is not written in the config.
    """

    kind: str
    message: str
    context: Mapping[str, Any]
    path: ConfigPath = ()
    key: str | None = None
    union: ConfigPath | None = None
    option: str | None = None
    of_default: bool = False


def located(error: ErrorDetails, data: Any, keys_at: Callable[[ConfigPath], Collection[str]]) -> Fault:
    """Tells the parts of pydantic's location that lead through `data` from those that name a union's member.

    `keys_at` gives the keys that the mapping at a path may have.
    """
    kind, location, key = error["type"], list(error["loc"]), None
    if location and kind in KEYED:
        key = str(location.pop())
    elif location and location[-1] == "[key]":
        key = str(location[-2])
        location = location[:-2]
    fault = Fault(kind, error["msg"], error.get("ctx", {}), key=key)
    path: ConfigPath = ()
    for index, step in enumerate(location):
        if _leads_into(data, step):
            data, path = data[step], (*path, step)
        elif step in keys_at(path):
            return replace(fault, path=(*path, *location[index:]), of_default=True)
        elif fault.union is None:
            fault = replace(fault, union=path, option=str(step))
    return replace(fault, path=path)


def collapse_unions(faults: Sequence[Fault]) -> Iterator[Fault]:
    """One fault, or one member's faults, for each value that fits no member of its union."""
    by_union: dict[ConfigPath, list[Fault]] = {}
    for fault in faults:
        if fault.union is None:
            yield fault
        else:
            by_union.setdefault(fault.union, []).append(fault)
    for union, found in by_union.items():
        yield from _best_of(found, union)


def _best_of(faults: list[Fault], union: ConfigPath) -> list[Fault]:
    members: dict[str | None, list[Fault]] = {}
    for fault in faults:
        members.setdefault(fault.option, []).append(fault)
    if len(members) == 1:
        return faults
    # A member that looked inside the value, or found it of the right type, complains of what is really wrong.
    nearer = [found for found in members.values() if not any(_about_type(fault, union) for fault in found)]
    if nearer:
        return min(nearer, key=len)
    expected = [EXPECTED.get(fault.kind) or fault.context["expected"] for fault in faults]
    return [Fault(UNION, "", {"expected": expected}, union)]


def _about_type(fault: Fault, union: ConfigPath) -> bool:
    return fault.path == union and fault.key is None and (fault.kind in EXPECTED or fault.kind in CHOICES)


def _leads_into(data: Any, step: str | int) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and 0 <= step < len(data)
