"""What a thousand plugins cost a request."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI

from benchmarks.asgi_client import microseconds, request_scope, running
from benchmarks.distributions import plugin_names, write_plugins
from benchmarks.measurement import Section, Table, Target, hold, interleave
from benchmarks.peers.powerstrip_configs import powerstrip_app

FEW, MANY = 10, 1000
ROUNDS = 21
REQUESTS = 200
# Milliseconds each: more would only take longer.
REQUESTS_OF_MANY_ROUTERS = 4

METHOD = f"""{FEW} and {MANY} plugins of three routes each, real distributions, no interceptors, against as many
routers included in one FastAPI application. In process, {ROUNDS} interleaved rounds of {REQUESTS} requests (FastAPI
with {MANY} routers: {REQUESTS_OF_MANY_ROUTERS})."""

# What is asked of `count` plugins, by the name of one of them.
QUESTIONS: Mapping[str, tuple[str, int]] = {
    "The last plugin's route with a parameter": ("/api/v1/{last}/7", 200),
    "The last plugin's fixed route": ("/api/v1/{last}/newest", 200),
    "404, below a plugin in the middle": ("/api/v1/{middle}/7/nothing", 404),
}


def run() -> Section:
    """Measure every question on small and large compositions."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    write_plugins(folder / "installed", MANY)
    sys.path.insert(0, str(folder / "installed"))
    tables: list[Table] = []
    targets: list[Target] = []
    async with AsyncExitStack() as stack:
        powerstrips = {count: powerstrip_app(folder, str(count), _all_on(count)) for count in (FEW, MANY)}
        peers = {count: fastapi_with_routers(plugin_names(count)) for count in (FEW, MANY)}
        for app in (*powerstrips.values(), *peers.values()):
            await stack.enter_async_context(running(app))
        for title, (path, status) in QUESTIONS.items():
            table = await _table(title, path, status, powerstrips, peers)
            tables.append(table)
            promise = f"{title}: {MANY} plugins of three routes beside {FEW}"
            targets.append(hold(promise, table, _ours(MANY), _ours(FEW), ratio=1.2))
    return Section(key="C", title="Route index", method=METHOD, tables=tables, targets=targets)


def fastapi_with_routers(names: list[str]) -> FastAPI:
    """The same routers, included by hand."""
    app = FastAPI()
    lifespan = app.router.lifespan_context
    for name in names:
        app.include_router(import_module(f"powerstrip_{name}.routes").router, prefix="/api/v1")
    # Each inclusion wraps the lifespan once more: with some 490 of them FastAPI can't start.
    app.router.lifespan_context = lifespan
    return app


async def _table(
    title: str, path: str, status: int, powerstrips: Mapping[int, Any], peers: Mapping[int, FastAPI]
) -> Table:
    trials = {}
    for name, apps in ((_ours, powerstrips), (_theirs, peers)):
        for count, app in apps.items():
            names = plugin_names(count)
            scope = request_scope("GET", path.format(last=names[-1], middle=names[count // 2]))
            requests = REQUESTS_OF_MANY_ROUTERS if name(count) == _theirs(MANY) else REQUESTS
            trials[name(count)] = partial(microseconds, app, scope, requests, status)
    series = await interleave(ROUNDS, trials)
    return Table(title=title, unit="µs", series=series, bases=[_ours(FEW)], plotted=True)


def _ours(count: int) -> str:
    return f"Powerstrip, {count} plugins"


def _theirs(count: int) -> str:
    return f"FastAPI, {count} routers"


def _all_on(count: int) -> str:
    return "\n".join(f"{name}: on" for name in plugin_names(count))
