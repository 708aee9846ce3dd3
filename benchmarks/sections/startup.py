"""What a start costs: with many plugins on, and with many installed that are off."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.distributions import plugin_names, write_config, write_plugins
from benchmarks.measurement import Section, Table, hold, interleave

PLUGINS = 100
PLUGINS_OFF = 200
ROUNDS = 7
ROUNDS_OFF = 15

POWERSTRIP = f"Powerstrip, {PLUGINS} plugins"
PEER = f"FastAPI, {PLUGINS} routers, first request to the last"
PEER_LAZY = f"FastAPI, {PLUGINS} routers, first request to the first"
ALONE = "Powerstrip, 1 plugin on, no other installed"
CROWDED = f"Powerstrip, 1 plugin on, {PLUGINS_OFF} more installed"

METHOD = f"""Each start in a fresh process, from when FastAPI and the host are imported until the first request is
answered: load, discover, compose (which imports the plugins), build, start, and one request. {PLUGINS} plugins of three
routes and a model each. FastAPI builds included routes when a request first comes near them; the request to the last
router builds all, as Powerstrip always does. {ROUNDS} interleaved rounds."""

METHOD_OFF = f"""Each start in a fresh process, measured as above, with one plugin switched on; the second variant has
{PLUGINS_OFF} more distributions installed that no line of the config names. That none of their packages is imported
is checked in every round. {ROUNDS_OFF} interleaved rounds."""


def run_startup() -> Section:
    """Many plugins, all on."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure_startup(Path(folder)))


def run_idle_plugins() -> Section:
    """Many plugins, all but one off."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure_idle_plugins(Path(folder)))


async def _measure_startup(folder: Path) -> Section:
    names = plugin_names(PLUGINS)
    write_plugins(folder / "installed", PLUGINS)
    config = write_config(folder / "all.yaml", "\n".join(f"{name}: on" for name in names))
    start = partial(_start, folder / "installed")
    first, last = f"/api/v1/{names[0]}/7", f"/api/v1/{names[-1]}/7"
    trials = {
        POWERSTRIP: partial(start, "--config", str(config), "--path", last),
        PEER: partial(start, "--path", last, "--routers", *names),
        PEER_LAZY: partial(start, "--path", first, "--routers", *names),
    }
    series = await interleave(ROUNDS, trials)
    table = Table(
        title=f"{PLUGINS} plugins of three routes: start and first request",
        unit="ms",
        series=series,
        bases=[PEER],
        digits=0,
        plotted=True,
    )
    promise = "composing, building and a first request, beside the same routes included by hand"
    targets = [hold(promise, table, POWERSTRIP, PEER, ratio=1.3)]
    return Section(key="D", title="Start", method=METHOD, tables=[table], targets=targets)


async def _measure_idle_plugins(folder: Path) -> Section:
    write_plugins(folder / "alone", 1)
    write_plugins(folder / "crowded", PLUGINS_OFF + 1)
    (name,) = plugin_names(1)
    config = write_config(folder / "one.yaml", f"{name}: on")
    arguments = ("--config", str(config), "--path", f"/api/v1/{name}/7")
    trials = {
        ALONE: partial(_start, folder / "alone", *arguments, expected={f"powerstrip_{name}"}),
        CROWDED: partial(_start, folder / "crowded", *arguments, expected={f"powerstrip_{name}"}),
    }
    series = await interleave(ROUNDS_OFF, trials)
    table = Table(title="Start with plugins that are off", unit="ms", series=series, plotted=True)
    promise = f"added by {PLUGINS_OFF} installed plugins that are off, none imported"
    targets = [hold(promise, table, CROWDED, ALONE, added=20)]
    return Section(key="E", title="Plugins that are off", method=METHOD_OFF, tables=[table], targets=targets)


async def _start(installed: Path, *arguments: str, expected: set[str] | None = None) -> float:
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "benchmarks.start_once", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"a start failed:\n{process.stderr}")
    result: dict[str, Any] = json.loads(process.stdout)
    if expected is not None and set(result["packages"]) != expected:
        raise AssertionError(f"imported {result['packages']}, expected {expected}")
    return float(result["milliseconds"])
