"""The command: `python -m benchmarks.crash --kills 50`; exit code 1 when a promise was broken."""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from benchmarks.crash.load import Journal, live
from benchmarks.crash.post_office import PostOffice, open_post_office
from benchmarks.crash.served import Served
from benchmarks.crash.verdict import Found, broken_promises, gather, pictures_not_shown
from powerstrip_database.testing import running_postgresql

# How many people are told 201 in one life, at most, and how long it goes on after that.
MOST_ACCOUNTS = 40
LAST_MOMENT = 0.05  # seconds


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="powerstrip-crash-") as folder, _database(options, Path(folder)) as url:
        broken = asyncio.run(_crash(Path(folder), url, options.kills, options.seed))
    for line in broken[:20]:
        print(f"  BROKEN: {line}")
    print(f"  {len(broken)} broken promises" if broken else "  every promise kept")
    sys.exit(1 if broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql, or the URL of an empty database")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


@contextmanager
def _database(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    if options.database == "sqlite":
        yield f"sqlite+aiosqlite:///{folder}/powerstrip.db"
    elif options.database == "postgresql":
        with running_postgresql() as server:
            yield server.create_database()
    else:
        yield options.database


async def _crash(folder: Path, url: str, kills: int, seed: int) -> list[str]:
    journal, chance, started = Journal(), Random(seed), perf_counter()
    async with open_post_office() as office:
        served = Served(folder, _plugins(url, office))
        try:
            for number in range(kills):
                await _one_life(served, journal, chance, seed=seed * 1_000 + number)
            await served.start()
            found = await gather(url, folder / "data" / "avatars")
            broken = broken_promises(found, journal, office) + await pictures_not_shown(served.base_url, found)
            if (code := await served.stop()) != 0:
                broken.append(f"SIGTERM at the end: exit code {code}")
        finally:
            served.kill()
    print(f"{url.partition(':')[0]}: {kills} x SIGKILL in {perf_counter() - started:.0f} s")
    _report(journal, found, office)
    return broken


async def _one_life(served: Served, journal: Journal, chance: Random, seed: int) -> None:
    await served.start()
    people = asyncio.create_task(live(served.base_url, journal, seed))
    enough = asyncio.create_task(journal.has_accounts(len(journal.accounts) + chance.randint(1, MOST_ACCOUNTS)))
    await asyncio.wait({people, enough}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(chance.random() * LAST_MOMENT)
    served.kill()
    enough.cancel()
    await people


def _plugins(url: str, office: PostOffice) -> dict[str, Any]:
    # A crashed process's mails are sent by the next one after the lease, so that is short here.
    mail = {
        "transport": "smtp",
        "smtp": {"host": "127.0.0.1", "port": office.port, "security": "none"},
        "timeout": 2.0,
        "lease": 3.0,
        "poll_interval": 0.2,
        "first_delay": 0.1,
        "longest_delay": 1.0,
    }
    cheap = {"memory_kib": 8, "iterations": 1}  # how slow hashing is has no part in this
    users = {"passwords": cheap, "mail": mail}
    return {"health": True, "tracing": {"access_log": False}, "database": {"url": url}, "users": users}


def _report(journal: Journal, found: Found, office: PostOffice) -> None:
    twice = sum(count - 1 for count in office.welcomed.values() if count > 1)
    drafts = sum(name.endswith(".part") for name in found.files)
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(Counter(journal.statuses).items()))
    print(f"  answers {statuses}; cut off {journal.cut_off}")
    print(f"  accounts told 201: {len(journal.accounts)}, there: {len(found.users)}")
    print(f"  welcome mails: {sum(office.welcomed.values())}, of these sent twice: {twice}")
    print(f"  pictures told 204: {len(journal.pictures)}, files: {len(found.files) - drafts}, drafts: {drafts}")
    print(f"  audit entries: {sum(map(len, found.entries.values()))}")


if __name__ == "__main__":
    main()
