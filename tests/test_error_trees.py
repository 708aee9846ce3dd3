"""The trees drawn in docstrings are the trees of the code."""

import re

from powerstrip import PowerstripError, Problem
from powerstrip.contract import errors, problems

NAME = re.compile(r"[A-Z]\w+")


def children(cls: type[Exception]) -> set[str]:
    """The names of all subclasses, at any depth, that the contract defines."""
    own = [child for child in cls.__subclasses__() if child.__module__.startswith("powerstrip.contract")]
    return {child.__name__ for child in own}.union(*map(children, own))


def test_the_drawn_error_tree_is_the_tree_of_the_code() -> None:
    tree = (errors.__doc__ or "").split("\n\n")[1]
    drawn = [(len(line) - len(line.lstrip(" │├└─")), NAME.search(line)) for line in tree.splitlines()]
    path: list[tuple[int, str]] = []
    pairs = set()
    for depth, found in drawn:
        assert found is not None
        path = [entry for entry in path if entry[0] < depth]
        if path:
            pairs.add((path[-1][1], found.group()))
        path.append((depth, found.group()))

    assert pairs == edges(PowerstripError)


def edges(cls: type[Exception]) -> set[tuple[str, str]]:
    own = [child for child in cls.__subclasses__() if child.__module__ == errors.__name__]
    return {(cls.__name__, child.__name__) for child in own}.union(*map(edges, own))


def test_every_problem_is_drawn_with_its_status() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)(?: (\d{3}))?", problems.__doc__ or ""))
    defined = {(name, str(getattr(problems, name).status)) for name in children(Problem)}

    assert {name for name, _ in drawn} == {name for name, _ in defined}
    assert {pair for pair in drawn if pair[1]} <= defined
