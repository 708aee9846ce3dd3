"""What is measured, and how it becomes figures: interleaved rounds, medians and minimums, ratios."""

import gc
from collections.abc import Awaitable, Callable, Mapping
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
    """Variants that were measured in the same rounds; `bases` are the ones the others are divided by."""

    title: str
    unit: str
    series: list[Series]
    bases: list[str] = []
    better: Literal["lower", "higher"] = "lower"
    digits: int = 1
    plotted: bool = False
    note: str = ""

    def __getitem__(self, name: str) -> Series:
        return next(series for series in self.series if series.name == name)

    def best(self, name: str) -> float:
        """The round that was disturbed least."""
        series = self[name]
        return series.minimum if self.better == "lower" else series.maximum


class Target(BaseModel):
    """A ratio or an amount that was promised, and what came out: by medians and by each variant's best round."""

    promise: str
    limit: float
    by_medians: float
    by_best: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return self.by_medians <= self.limit


class Section(BaseModel):
    """One question, its figures, and how near its targets came."""

    key: str
    title: str
    method: str
    tables: list[Table]
    targets: list[Target] = []


def ratio_target(promise: str, table: Table, name: str, base: str, limit: float) -> Target:
    """How `name` stands to `base` in one table."""
    return Target(
        promise=promise,
        limit=limit,
        by_medians=table[name].median / table[base].median,
        by_best=table.best(name) / table.best(base),
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
