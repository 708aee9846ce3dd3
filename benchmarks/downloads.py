"""Exports with names that are hard to write, saved by curl and by a browser."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.chromium import PATIENCE, Page
from powerstrip import ExportColumn, ExportContext, ExportSource, Identity, Plugin, PluginSettings, create_app, hookimpl
from powerstrip.testing import ConfigBuilder, FakeClock, signed_in
from powerstrip.testing.installed import discovery_with

CALLER = Identity("reader", "Reader", permissions=frozenset(("titles:read",)))
AT = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
ENDING = "-20261126-083000.csv"
# The title of a source, what curl calls its file, since it knows only ASCII, and what a browser calls it.
TITLES = (
    ("users", "users", "users"),
    ('a "quoted" title', "a _quoted_ title", "a _quoted_ title"),
    ("it's (1) & [2], ~3", "it's (1) & [2], ~3", "it's (1) & [2], ~3"),
    ("two\r\nlines", "two__lines", "two__lines"),
    ("x\r\nSet-Cookie: a=1", "x__Set-Cookie_ a=1", "x__Set-Cookie_ a=1"),
    ("50% off; filename=b", "50_ off_ filename=b", "50_ off_ filename=b"),
    ("../../etc/passwd", "_.._etc_passwd", "_.._etc_passwd"),
    ("back\\slash", "back_slash", "back_slash"),
    ("Zählung naïve", "Zahlung naive", "Zählung naïve"),
    ("用户数据", "____", "用户数据"),
    ("пользователи", "____________", "пользователи"),
    ("المستخدمون", "__________", "المستخدمون"),
    ("🎉 party", "_ party", "🎉 party"),
    ("数" * 100, "_" * 50, "数" * 50),
)


class Titles(Plugin[PluginSettings]):
    """Offers a source for each title."""

    @hookimpl
    def register_exports(self) -> Sequence[ExportSource]:
        return [
            ExportSource(f"title{number}", [ExportColumn("n", "integer")], "titles:read", batches=_one_row, title=title)
            for number, (title, _, _) in enumerate(TITLES)
        ]


async def _one_row(_context: ExportContext) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
    yield [(1,)]


def exporting(folder: Path) -> Any:
    """The application that offers them."""
    plugins = {
        "fake_identity": True,
        "database": {"url": f"sqlite+aiosqlite:///{folder}/data.db"},
        "titles": True,
        "exports": True,
    }
    path = ConfigBuilder(folder)(plugins)
    return create_app(path, environ={}, discovery=discovery_with({"titles": Titles}), clock=FakeClock(AT))


async def save_all(page: Page, url: str, folder: Path) -> list[str]:
    """Save each by curl and in the browser; gives what got a wrong name."""
    for name in ("curl", "chromium"):
        (folder / name).mkdir()
    await page.call("Network.enable")
    await page.call("Network.setExtraHTTPHeaders", headers=signed_in(CALLER))
    await page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder / "chromium"))
    wrong = []
    for number, (title, for_curl, for_browser) in enumerate(TITLES):
        address = f"{url}/api/v1/exports/title{number}"
        saved = await _by_curl(address, folder / "curl"), await _by_browser(page, address, folder / "chromium")
        expected = f"{for_curl}{ENDING}", f"{for_browser}{ENDING}"
        wrong += [
            f"{program} saves {title!r} as {name!r} instead of {right!r}"
            for program, name, right in zip(("curl", "Chromium"), saved, expected, strict=True)
            if name != right
        ]
    return wrong


async def _by_curl(address: str, folder: Path) -> str:
    before = set(os.listdir(folder))
    headers = [part for name, value in signed_in(CALLER).items() for part in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec("curl", "-sfOJ", *headers, address, cwd=folder)
    if await process.wait():
        raise RuntimeError(f"curl ended with {process.returncode}")
    return _new_in(folder, before)


async def _by_browser(page: Page, address: str, folder: Path) -> str:
    before = set(os.listdir(folder))
    # It stays where it is: what comes is a file to save.
    await page.call("Page.navigate", url=address)
    async with asyncio.timeout(PATIENCE):
        while not (name := _new_in(folder, before)) or name.endswith(".crdownload"):  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.05)
    return name


def _new_in(folder: Path, before: set[str]) -> str:
    return next((name for name in os.listdir(folder) if name not in before and not name.startswith(".")), "")
