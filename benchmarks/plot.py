"""Results as one picture: a bar a variant, a panel a table."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # draws into files and needs no display; has to be said before pyplot is imported

from matplotlib import pyplot as plt

from benchmarks.measurement import Series, Table
from benchmarks.results import Results

OURS, THEIRS = "#2b6cb0", "#a0aec0"
INCHES_PER_BAR = 0.34
INCHES_PER_PANEL = 0.9
# Beyond this a linear axis shows one bar and no others.
LARGEST_LINEAR_RATIO = 20


def draw(results: Results, path: Path) -> None:
    """Write the picture."""
    tables = [
        (key, table) for key, measured in results.measured.items() for table in measured.section.tables if table.plotted
    ]
    heights = [INCHES_PER_PANEL + INCHES_PER_BAR * len(_bars_of(table)) for _, table in tables]
    figure, panels = plt.subplots(
        len(tables), figsize=(9, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for (key, table), panel in zip(tables, panels[:, 0], strict=True):
        _draw_table(panel, key, table)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _bars_of(table: Table) -> list[Series]:
    return [series for series in table.series if series.name != table.floor]


def _draw_table(panel: Any, key: str, table: Table) -> None:
    series = _bars_of(table)[::-1]  # the first at the top
    medians = [entry.median for entry in series]
    quartiles = [entry.quartiles for entry in series]
    spread = [
        [max(middle - low, 0) for middle, (low, _) in zip(medians, quartiles, strict=True)],
        [max(high - middle, 0) for middle, (_, high) in zip(medians, quartiles, strict=True)],
    ]
    colours = [OURS if entry.name.startswith("Powerstrip") else THEIRS for entry in series]
    bars = panel.barh([entry.name for entry in series], medians, xerr=spread, color=colours, ecolor="#4a5568")
    panel.bar_label(bars, [f"{median:,.{table.digits}f}" for median in medians], padding=6, fontsize=8)
    better = "shorter is better" if table.better == "lower" else "longer is better"
    if max(medians) > LARGEST_LINEAR_RATIO * min(medians):
        panel.set_xscale("log")
        better += ", logarithmic"
    panel.set_title(f"{key}. {table.title} ({table.unit}, {better})", fontsize=10, loc="left")
    panel.margins(x=0.15)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
