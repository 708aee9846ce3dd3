"""What is measured, and how it becomes figures: interleaved rounds, medians and minimums, ratios."""

import gc
from collections.abc import Awaitable, Callable, Mapping
from operator import sub, truediv
from statistics import median, quantiles
from typing import Literal

from pydantic import BaseModel

Trial = Callable[[], Awaitable[float]]


class Series(BaseModel):
    """All rounds of one variant."""

    name: str
    samples: list[float]

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def maximum(self) -> float:
        return max(self.samples)

    @property
    def quartiles(self) -> tuple[float, float]:
        low, _, high = quantiles(self.samples, n=4, method="inclusive")
        return low, high


class Table(BaseModel):
    """Variants that were measured in the same rounds; `bases` are those the others are divided by.

    `floor` names one that shows what measuring costs: a line of the table, but no bar of the plot.
    """

    title: str
    unit: str
    series: list[Series]
    bases: list[str] = []
    better: Literal["lower", "higher"] = "lower"
    digits: int = 1
    plotted: bool = False
    floor: str = ""

    def __getitem__(self, name: str) -> Series:
        return next(series for series in self.series if series.name == name)

    def best(self, name: str) -> float:
        """The round that was disturbed least."""
        series = self[name]
        return series.minimum if self.better == "lower" else series.maximum


class Target(BaseModel):
    """What was promised and what came out: by rounds, by medians and by each variant's best round.

    By rounds is the median of what each round gives by itself. Neighbours in a round are disturbed alike, so it is
    the steadiest of the three, and it decides.
    """

    promise: str
    limit: float
    by_rounds: float
    by_medians: float
    by_best: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return self.by_rounds <= self.limit


class Section(BaseModel):
    """One question, its figures, and how near its targets came."""

    key: str
    title: str
    method: str
    tables: list[Table]
    targets: list[Target] = []


def hold(promise: str, table: Table, name: str, base: str, *, ratio: float = 0, added: float = 0) -> Target:
    """Hold one variant to a promise: to take at most `ratio` times what `base` takes, or to add at most `added`."""
    compare = truediv if ratio else sub
    one, other = table[name], table[base]
    return Target(
        promise=promise,
        limit=ratio or added,
        by_rounds=median(map(compare, one.samples, other.samples)),
        by_medians=compare(one.median, other.median),
        by_best=compare(table.best(name), table.best(base)),
        unit="" if ratio else table.unit,
    )


async def interleave(rounds: int, trials: Mapping[str, Trial]) -> list[Series]:
    """Run every trial once a round, so that whatever disturbs the machine disturbs all of them.

    Each round begins with another one: none always runs behind the same neighbour.
    """
    names = list(trials)
    samples: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()  # what was built before is no garbage, and would only be looked through again and again
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            samples[name].append(await trials[name]())
    return [Series(name=name, samples=samples[name]) for name in names]
