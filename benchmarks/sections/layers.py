"""Where a request's time goes: the same request, with one layer less each time."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI

from benchmarks.asgi_client import microseconds, request_scope, running
from benchmarks.measurement import Section, Table, interleave
from benchmarks.peers.powerstrip_configs import (
    EDGE_FEATURES,
    SHOP,
    TRACING,
    install_shop,
    new_supervisor,
    powerstrip_app,
    raise_it,
    with_features,
)
from benchmarks.peers.shop import PREFIX, find_item
from benchmarks.sections.request_path import answer_at_once
from powerstrip.host.asgi import Dispatcher

# Short trials: what disturbs the machine for a moment then disturbs neighbours alike.
ROUNDS = 121
REQUESTS = 120
PATH = f"{PREFIX}/featured"

METHOD = f"""The request of section A, measured again with one layer less each time, {ROUNDS} interleaved rounds of
{REQUESTS} requests. A layer's cost is the difference to the next row; a difference of a microsecond is noise."""


def run() -> Section:
    """Measure the whole, and what is left of it without each layer."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    install_shop(folder)
    async with AsyncExitStack() as stack:
        applications = await _without_plugins(folder, stack) | await _without_host(folder, stack)
        scope = request_scope("GET", PATH)
        trials = {name: partial(microseconds, app, scope, REQUESTS) for name, app in applications.items()}
        await interleave(1, trials)
        table = Table(title="The whole, and what is left", unit="µs", series=await interleave(ROUNDS, trials))
    return Section(key="F", title="Where the time goes", method=METHOD, tables=[table])


async def _without_plugins(folder: Path, stack: AsyncExitStack) -> dict[str, Any]:
    """Everything, then one feature less, until only the routes are left."""
    configs = {"everything": with_features()}
    features = list(EDGE_FEATURES)
    for kept in reversed(range(len(features))):
        configs[f"without {features[kept]}"] = with_features(features[kept:])
    configs["without edge"] = f"{TRACING}\n{SHOP}"
    apps = {}
    for number, (name, plugins) in enumerate(configs.items()):
        apps[name] = await stack.enter_async_context(running(powerstrip_app(folder, f"less-{number}", plugins)))
    return apps


async def _without_host(folder: Path, stack: AsyncExitStack) -> dict[str, Any]:
    """Only the routes, then one layer of the host less, until only the path operation is left."""
    supervisor = new_supervisor(folder, "routes", SHOP)
    dispatcher = await stack.enter_async_context(running(Dispatcher(supervisor, on_failure=raise_it)))
    assert supervisor.current is not None
    application: FastAPI = supervisor.current.application
    index = application.state.powerstrip.index
    entry, _ = index.find("http", "GET", PATH)
    return {
        "without tracing": dispatcher,
        "without the lease of a generation": application,
        "without FastAPI's own entry": application.middleware_stack,
        "without the interceptor layer": index,
        "without the route index": _without_parameters(entry.app),
        "without FastAPI: the model and its JSON": _answer_by_hand,
        "nothing": answer_at_once,
    }


def _without_parameters(route: Any) -> Any:
    """Puts into the scope what FastAPI expects there of an index, and calls one route."""

    def app(scope: Any, receive: Any, send: Any) -> Any:
        scope["path_params"] = {}
        return route(scope, receive, send)

    return app


async def _answer_by_hand(_scope: Any, _receive: Any, send: Any) -> None:
    body = find_item(1).model_dump_json().encode()
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
