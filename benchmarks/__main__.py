"""The command: measures the chosen sections, each in a process of its own, and writes the results."""

import argparse
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from benchmarks.measurement import Section
from benchmarks.plot import draw
from benchmarks.report import as_markdown
from benchmarks.results import read_results
from benchmarks.sections import (
    accounts,
    exports,
    layers,
    ratelimit_memory,
    ratelimit_redis,
    realtime,
    request_path,
    route_index,
    sign_in,
    sockets,
    startup,
    swap,
)

FOLDER = Path(__file__).parent / "results"
SECTIONS: Mapping[str, Callable[[], Section]] = {
    "A": request_path.run,
    "B": sockets.run,
    "C": route_index.run,
    "D": startup.run_startup,
    "E": startup.run_idle_plugins,
    "F": layers.run,
    "L": ratelimit_memory.run,
    "G": exports.run,
    "R": ratelimit_redis.run,
    "S": swap.run,
    "U": accounts.run,
    "V": sign_in.run,
    "W": realtime.run,
}


def main() -> None:
    """Measure, write, and say how the promises came out; missing one is no failure of the command."""
    chosen = _chosen()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / "results.json"
    results = read_results(path)
    for key in chosen:
        started, load_before = perf_counter(), os.getloadavg()[0]
        # A process of its own: no section runs in the memory that another has filled.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            section = process.submit(SECTIONS[key]).result()
        results.add(section, load_before)
        print(f"{key}. {section.title}: {perf_counter() - started:.0f} s")
        for target in section.targets:
            verdict = "met" if target.is_met else "NOT MET"
            print(f"   {target.promise}: {target.by_rounds:.2f} {target.unit} (<= {target.limit:g}) {verdict}")
        path.write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (FOLDER / "request_path.md").write_text(as_markdown(results), encoding="utf-8")
    draw(results, FOLDER / "request_path.png")
    print("written: benchmarks/results/request_path.md, request_path.png and results.json")


def _chosen() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    titles = ", ".join(SECTIONS)
    parser.add_argument("--only", default="", metavar="A,C", help=f"the sections to measure, of {titles}")
    wanted = [key.strip().upper() for key in parser.parse_args().only.split(",") if key.strip()]
    for key in wanted:
        if key not in SECTIONS:
            parser.error(f"there is no section '{key}': choose from {titles}")
    return wanted or list(SECTIONS)


if __name__ == "__main__":
    main()
