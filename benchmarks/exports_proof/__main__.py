"""The command: `python -m benchmarks.exports_proof --rows 1000000`; exit code 1 when a promise was broken."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.exports_proof.crashes import kill_often
from benchmarks.exports_proof.files import fetch_and_count
from benchmarks.exports_proof.measuring import PIECES, Measured, Piece, measure
from benchmarks.exports_proof.site import Site
from powerstrip_database.testing import running_postgresql

FEW = 10_000
MOST_GROWTH = 30.0  # MB between few rows and many
MOST_WAITING = 0.2  # seconds to the first byte of a stream
MOST_SLOWER = 3.0  # times: /health beside an export, against quiet
KILLS, FILES = "kills", "files"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="powerstrip-exports-") as folder:
        broken = asyncio.run(_prove(options, Path(folder)))
    for line in broken:
        print(f"  BROKEN: {line}")
    print(f"{len(broken)} broken promises" if broken else "every promise kept")
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports_proof", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--slow", type=float, default=60.0, help="seconds that a client reads 1 KB/s")
    parser.add_argument("--database", default="sqlite", choices=("sqlite", "postgresql"))
    parser.add_argument("--pandas", default=sys.executable, metavar="PYTHON", help="an interpreter that has pandas")
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        metavar="WORD",
        help=f"only what has one of these words in its name: {', '.join(map(repr, [*PIECES, KILLS, FILES]))}",
    )
    return parser.parse_args()


async def _prove(options: argparse.Namespace, folder: Path) -> list[str]:
    broken: list[str] = []
    pieces = [piece for name, piece in PIECES.items() if _is_wanted(name, options)]
    few: dict[str, Measured] = {}
    with _databases(options.database, folder) as (few_url, many_url):
        few_site = Site(folder / "few", few_url)
        async with few_site.populated(FEW):
            for piece in pieces:
                few[piece.name] = await measure(few_site, PIECES[piece.beside], options.slow)
            if options.kills and _is_wanted(KILLS, options):
                broken += await kill_often(few_site, options.kills)
        if pieces or _is_wanted(FILES, options):
            many_site = Site(folder / "many", many_url)
            async with many_site.populated(options.rows):
                for piece in pieces:
                    broken += _judge(piece, few[piece.name], await measure(many_site, piece, options.slow))
                if _is_wanted(FILES, options):
                    broken += await fetch_and_count(many_site, folder, options.rows, options.pandas)
    return broken


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or any(word in name for word in options.only)


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/few.db", f"sqlite+aiosqlite:///{folder}/many.db"
        return
    with running_postgresql() as server:
        yield server.create_database(), server.create_database()


def _judge(piece: Piece, few: Measured, many: Measured) -> list[str]:
    growth = many.peak - few.peak
    slower = many.health_p99 / many.quiet_p99 if many.quiet_p99 else 0.0
    first_byte = f"first byte after {many.first_byte * 1000:.0f} ms, " if many.first_byte else ""
    print(
        f"{piece.name}: {many.rows:,} rows in {many.seconds:.1f} s, {many.bytes / 1e6:.1f} MB, {first_byte}"
        f"peak {many.peak:.0f} MB (+{growth:.0f} MB against {FEW:,} rows), "
        f"/health p99 {many.health_p99 * 1000:.1f} ms ({slower:.1f} x quiet)",
        flush=True,
    )
    broken = []
    if growth > MOST_GROWTH:
        broken.append(f"{piece.name} grows by {growth:.0f} MB")
    if many.first_byte > MOST_WAITING:
        broken.append(f"{piece.name} begins after {many.first_byte:.2f} s")
    if slower > MOST_SLOWER:
        broken.append(f"{piece.name} makes /health {slower:.1f} times slower")
    return broken


if __name__ == "__main__":
    main()
