"""The command: `python -m benchmarks.soak loss leak flood slow idle generations reload`.

The exit code is 1 when a promise was broken.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from time import perf_counter

from benchmarks.soak.crowds import soak_flood, soak_idle, soak_leak, soak_slow
from benchmarks.soak.generations import soak_generations
from benchmarks.soak.loss import soak_loss
from benchmarks.soak.reload import soak_reload


async def _loss(options: argparse.Namespace) -> list[str]:
    pauses = (0.1, 20.0 / options.haste, 30.0 / options.haste)
    outcome = await soak_loss(clients=options.clients, seconds=options.seconds, rate=options.rate, pauses=pauses)
    figures = {name: value for name, value in asdict(outcome).items() if name != "broken"}
    print("  " + ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in figures.items()))
    return outcome.broken


PARTS: Mapping[str, Callable[[argparse.Namespace], Awaitable[list[str]]]] = {
    "loss": _loss,
    "leak": lambda options: soak_leak(options.connects),
    "flood": lambda options: soak_flood(options.connects // 10),
    "slow": lambda options: soak_slow(options.clients),
    "idle": lambda options: soak_idle(options.idle, options.minutes * 60),
    "generations": soak_generations,
    "reload": soak_reload,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all when not stated")
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long things are killed, or reloaded")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    parser.add_argument("--haste", type=float, default=1.0, help="how much more often workers and Valkey are killed")
    parser.add_argument("--connects", type=int, default=100_000)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long idle connections are held")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 4], help="of the server that is reloaded")
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--generations", type=int, default=500, help="reloads in the part of that name")
    parser.add_argument("--requests", type=float, default=500.0, help="a second while reloading, at half load at most")
    options = parser.parse_args()
    broken: list[str] = []
    for part in options.parts or PARTS:
        started = perf_counter()
        print(f"{part}:", flush=True)
        found = asyncio.run(_awaited(PARTS[part](options)))
        for line in found[:20]:
            print(f"  BROKEN: {line}")
        verdict = f"{len(found)} broken promises" if found else "every promise kept"
        print(f"  {verdict} ({perf_counter() - started:.0f} s)", flush=True)
        broken += found
    sys.exit(1 if broken else 0)


async def _awaited(work: Awaitable[list[str]]) -> list[str]:
    return await work


if __name__ == "__main__":
    main()
