"""Write constraints.txt: the installed version of everything that our distributions and tools need.

Run it in an environment where all of them are installed and have been tested together.
"""

import sys
import tomllib
from collections.abc import Container, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
HEADER = "# Every version that Powerstrip is tested with. `make constraints` writes this file.\n"


def main() -> int:
    own = {canonicalize_name(project["name"]) for project in _projects()}
    try:
        versions = _closure(_wanted(), own)
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed: run `make install-dev bench` first", file=sys.stderr)
        return 1
    text = HEADER + "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    path = ROOT / "constraints.txt"
    if path.read_text(encoding="utf-8") != text:  # `make` installs again when this file is newer
        path.write_text(text, encoding="utf-8")
    return 0


def _projects() -> Iterator[dict[str, Any]]:
    """The `[project]` table of each distribution."""
    for pattern in ("core/pyproject.toml", "plugins/*/pyproject.toml", "examples/*/pyproject.toml"):
        for path in sorted(ROOT.glob(pattern)):
            yield tomllib.loads(path.read_text(encoding="utf-8"))["project"]


def _wanted() -> Iterator[Requirement]:
    """What the distributions, their extras and the tool lists name."""
    for project in _projects():
        extras = project.get("optional-dependencies", {}).values()
        yield from map(Requirement, [*project.get("dependencies", []), *chain.from_iterable(extras)])
    for path in sorted(ROOT.glob("requirements-*.txt")):
        lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
        yield from (Requirement(line) for line in lines if line)


def _closure(requirements: Iterator[Requirement], own: Container[str]) -> dict[str, str]:
    """The installed version of each requirement and of all that it requires in turn."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or name in own:
            continue
        seen.add(key)
        installed = distribution(name)
        versions[name] = installed.version
        needed = map(Requirement, installed.requires or ())
        waiting += (each for each in needed if _applies(each, requirement.extras))
    return versions


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


if __name__ == "__main__":
    sys.exit(main())
