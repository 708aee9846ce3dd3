"""Results as a page of tables."""

from collections.abc import Iterator

from benchmarks.measurement import Section, Table, Target
from benchmarks.results import Measured, Results

HEAD = """# Powerstrip beside its peers

`make bench` writes this page; [how it measures and how to read it](../README.md). Ratios hold from machine to
machine, absolute figures don't. *best* is the round that was disturbed least; a ratio is given by medians and,
in brackets, by best rounds.

![The same as a plot](request_path.png)
"""


def as_markdown(results: Results) -> str:
    """The whole page."""
    parts = [HEAD, *_targets(results)]
    for measured in results.measured.values():
        parts += _section(measured)
    return "\n".join(parts)


def _targets(results: Results) -> Iterator[str]:
    yield "## What was promised\n"
    yield "| promise | limit | by rounds | by medians | by best rounds | |"
    yield "|---|---|---|---|---|---|"
    for measured in results.measured.values():
        section = measured.section
        for target in section.targets:
            yield f"| {section.key}: {target.promise} | {_target_row(target)} |"
    yield ""


def _target_row(target: Target) -> str:
    unit = f" {target.unit}" if target.unit else ""
    verdict = "met" if target.is_met else "**not met**"
    figures = (f"{figure:.2f}{unit}" for figure in (target.by_rounds, target.by_medians, target.by_best))
    return f"≤ {target.limit:g}{unit} | {' | '.join(figures)} | {verdict}"


def _section(measured: Measured) -> Iterator[str]:
    section: Section = measured.section
    yield f"## {section.key}. {section.title}\n"
    yield f"{section.method}\n"
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    yield (
        f"Measured {measured.at:%Y-%m-%d %H:%M} UTC on {measured.system}, {measured.cores} cores (load before: "
        f"{measured.load_before:.1f}), {measured.python}; {versions}.\n"
    )
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.title}\n"
    bases = [f"/ {base}" for base in table.bases]
    columns = [f"median {table.unit}", f"best {table.unit}", f"middle half {table.unit}", *bases]
    yield f"| variant | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for series in table.series:
        low, high = series.quartiles
        figures = [_figure(series.median, table), _figure(table.best(series.name), table)]
        figures.append(f"{_figure(low, table)} to {_figure(high, table)}")
        for base in table.bases:
            by_medians = series.median / table[base].median
            figures.append(f"{by_medians:.2f} ({table.best(series.name) / table.best(base):.2f})")
        yield f"| {series.name} | {' | '.join(figures)} |"
    yield ""


def _figure(value: float, table: Table) -> str:
    return f"{value:,.{table.digits}f}"
