"""The command: `python -m benchmarks.limits`; exit code 1 when a promise was broken."""

import argparse
import sys

from benchmarks.limits import adversary, exactness, faults


def main() -> None:
    options = _options()
    broken: list[str] = []
    if options.only in (None, "exactness"):
        broken += exactness.check(options.workers, options.clients, options.limit)
    if options.only in (None, "adversary"):
        broken += adversary.check(options.seconds * 4, options.period)
    if options.only in (None, "faults"):
        broken += faults.check(options.seconds, options.added)
    for line in broken:
        print(f"  BROKEN: {line}")
    print(f"{len(broken)} broken promises" if broken else "every promise kept")
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--only", choices=("exactness", "adversary", "faults"))
    parser.add_argument("--workers", type=int, default=4, help="processes that count on one key")
    parser.add_argument("--clients", type=int, default=500, help="concurrent clients in each")
    parser.add_argument("--limit", type=int, default=1000, help="how many requests are allowed in all")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each fault lasts; timings, 4 times")
    parser.add_argument("--period", type=float, default=1.0, help="of the limits that adversaries try, in seconds")
    parser.add_argument("--added", type=float, default=5.0, help="ms that a server which is away may cost a request")
    return parser.parse_args()


if __name__ == "__main__":
    main()
