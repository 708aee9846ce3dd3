"""What a request costs inside the process."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.asgi_client import microseconds, request_scope, running
from benchmarks.measurement import Section, Table, hold, interleave
from benchmarks.peers.fastapi_peers import bare_fastapi, hand_wired_fastapi
from benchmarks.peers.features import check_features
from benchmarks.peers.litestar_peer import litestar_peer
from benchmarks.peers.powerstrip_configs import SHOP, install_shop, powerstrip_app, with_features
from benchmarks.peers.shop import PREFIX

# Short trials: what disturbs the machine for a moment then disturbs neighbours alike.
ROUNDS = 121
REQUESTS = 120

BARE = "FastAPI, bare, include_router"
HAND_WIRED = "FastAPI, features by hand"
LITESTAR = "Litestar, features"
POWERSTRIP = "Powerstrip, tracing + edge"
ROUTES_ONLY = "Powerstrip, routes only"
FLOOR = "an ASGI function that answers at once"

METHOD = f"""In one process, one request after the other, as a browser sends it to another origin. {ROUNDS} rounds, each
{REQUESTS} requests of every variant; a sample is one round's mean. *With features* means: request id, timing, trusted
hosts, CORS with credentials, security headers, body limit, sessions and gzip, no access log; before anything is
timed, each variant has to prove that it does all of them."""


def run() -> Section:
    """Measure all variants on two paths."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> Section:
    install_shop(folder)
    async with AsyncExitStack() as stack:
        applications = {
            FLOOR: answer_at_once,
            BARE: bare_fastapi(),
            HAND_WIRED: hand_wired_fastapi(),
            LITESTAR: litestar_peer(),
            POWERSTRIP: powerstrip_app(folder, "features", with_features()),
            ROUTES_ONLY: powerstrip_app(folder, "routes", SHOP),
        }
        for name, app in applications.items():
            if name != FLOOR:
                await stack.enter_async_context(running(app))
            if name in (HAND_WIRED, LITESTAR, POWERSTRIP):
                await check_features(name, app)
        featured = await _table(
            applications, "GET, a fixed path, answering a model", f"{PREFIX}/featured", plotted=True
        )
        item = await _table(applications, "GET, a path with a parameter, answering a model", f"{PREFIX}/items/7")
    promise = "in-process time of a request, every feature on, beside"
    targets = [
        hold(f"{promise} FastAPI with the same by hand", featured, POWERSTRIP, HAND_WIRED, ratio=0.55),
        hold(f"{promise} bare FastAPI with include_router", featured, POWERSTRIP, BARE, ratio=1.0),
    ]
    return Section(key="A", title="Request path, in process", method=METHOD, tables=[featured, item], targets=targets)


async def _table(applications: dict[str, Any], title: str, path: str, *, plotted: bool = False) -> Table:
    scope = request_scope("GET", path)
    trials = {name: partial(microseconds, app, scope, REQUESTS) for name, app in applications.items()}
    await interleave(1, trials)  # caches fill and code specialises itself
    series = await interleave(ROUNDS, trials)
    return Table(title=title, unit="µs", series=series, bases=[HAND_WIRED, BARE], plotted=plotted, floor=FLOOR)


async def answer_at_once(_scope: Any, _receive: Any, send: Any) -> None:
    """The least an application can do: what is left is what measuring costs."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
