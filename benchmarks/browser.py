"""The demo page of realtime in a headless Chromium: `make browser`. Exit code 1 when the browser saw something else."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import uvicorn
import websockets

from powerstrip import Event, EventBus, create_app
from powerstrip.testing import ConfigBuilder

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")
PATIENCE = 60.0
PASSWORD = "correct horse battery"


class Page:
    """A page, spoken to over the DevTools protocol."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        self._number += 1
        await self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._connection.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                found: Mapping[str, Any] = message["result"]
                return found

    async def run(self, expression: str) -> Any:
        options = {"returnByValue": True, "awaitPromise": True}
        result = await self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until it is true."""
        async with asyncio.timeout(PATIENCE):
            while not await self.run(expression):  # noqa: ASYNC110 - the page tells nobody
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _browser(binary: str, folder: Path) -> AsyncIterator[Page]:
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
    ]
    process = await asyncio.create_subprocess_exec(
        binary, *options, f"--user-data-dir={folder}", "about:blank", stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(r"ws://\S+", (await process.stderr.readline()).decode())):
                pass
        port = found[0].split("/")[2]
        async with httpx2.AsyncClient() as http:
            targets = (await http.get(f"http://{port}/json")).json()
        address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
        async with websockets.connect(address, max_size=None, ping_interval=None) as connection:
            yield Page(connection)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _application(folder: Path) -> AsyncIterator[tuple[Any, str]]:
    cheap = {"memory_kib": 8, "iterations": 1, "threads": 1}
    plugins = {
        "edge": True,
        "database": {"url": f"sqlite+aiosqlite:///{folder}/data.db"},
        "users": {"secret_key": "a key that only this browser test has", "passwords": cheap},
        "realtime": True,
    }
    app = create_app(ConfigBuilder(folder)(plugins, app={"debug": True}), environ={})
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has nothing to wait for
        await asyncio.sleep(0.05)
    try:
        yield app, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def _look(page: Page, app: Any, url: str) -> None:
    """Sign in, see an event, lose the connection, miss two, see just those, subscribe to what is forbidden."""
    bus = app.state.powerstrip.index.services[EventBus]
    form = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
    async with httpx2.AsyncClient(base_url=f"{url}/api/v1") as http:
        sign_up = {**form, "confirm_password": PASSWORD, "terms_accepted": True}
        (await http.post("/users/", json=sign_up)).raise_for_status()
    await page.call("Page.navigate", url=f"{url}/realtime/demo")
    await page.until("globalThis.realtimeDemo !== undefined")
    await page.run(
        f"for (const [name, value] of Object.entries({json.dumps({'username': 'ada', 'password': PASSWORD})}))"
        " document.querySelector(`#sign-in [name=${name}]`).value = value;"
        "document.querySelector('#sign-in button').click()"
    )
    await page.until("document.getElementById('state').textContent === 'connected'")
    await bus.publish(Event("broadcast", "demo", "first"))
    await page.until("document.getElementById('events').textContent.includes('first')")
    await page.call("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    await page.call("Network.emulateNetworkConditions", offline=True, **conditions)
    for connection in _connections(app):
        connection.close(_restart())
    await page.until("document.getElementById('state').textContent !== 'connected'")
    for text in ("second", "third"):
        await bus.publish(Event("broadcast", "demo", text))
    await page.call("Network.emulateNetworkConditions", offline=False, **conditions)
    await page.until("document.getElementById('events').textContent.includes('third')")
    shown = await page.run("[...document.querySelectorAll('#events li')].map((line) => line.textContent)")
    texts = [line.rpartition(" ")[2].strip('"') for line in reversed(shown)]
    if texts != ["first", "second", "third"]:
        raise AssertionError(f"the page shows {texts}")
    await page.until("document.getElementById('state').textContent === 'connected'")
    await page.run("document.querySelector('#topic [name=topic]').value = 'user:somebody-else'")
    await page.run("document.querySelector('#topic button').click()")
    await page.until("document.getElementById('events').textContent.includes('not subscribed')")


def _connections(app: Any) -> Any:
    from powerstrip_realtime.registry import Registry  # noqa: PLC0415 - the application is composed by now

    return app.state.powerstrip.index.services[Registry]


def _restart() -> Any:
    from powerstrip_realtime.domain import Close, Goodbye  # noqa: PLC0415 - likewise

    return Goodbye(Close.RESTART, retry_ms=500)


async def _main() -> int:
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if binary is None:
        print("no Chromium was found: install it (Debian: apt-get install chromium), or name it in $CHROMIUM")
        return 2
    with TemporaryDirectory(prefix="powerstrip-browser-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        async with _application(Path(folder)) as (app, url), _browser(binary, Path(folder, "profile")) as page:
            await _look(page, app, url)
    print("the demo page signs in, resumes exactly what it missed, and says what is forbidden")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
