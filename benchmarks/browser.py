"""What a browser makes of us, in a headless Chromium: `make browser`. Exit code 1 when it saw something else.

It looks at the demo page of realtime, and saves exports; curl saves the same ones.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from benchmarks.chromium import Page, chromium, open_browser, serving
from benchmarks.downloads import exporting, save_all
from powerstrip import Event, EventBus, create_app
from powerstrip.testing import ConfigBuilder

PASSWORD = "correct horse battery"


def _application(folder: Path) -> Any:
    cheap = {"memory_kib": 8, "iterations": 1, "threads": 1}
    plugins = {
        "edge": True,
        "database": {"url": f"sqlite+aiosqlite:///{folder}/data.db"},
        "users": {"secret_key": "a key that only this browser test has", "passwords": cheap},
        "realtime": True,
    }
    return create_app(ConfigBuilder(folder)(plugins, app={"debug": True}), environ={})


async def _look(page: Page, app: Any, url: str) -> None:
    """Sign in, see an event, lose the connection, miss two, see just those, subscribe to what is forbidden, stay away
    when the session has ended."""
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
    for connection in _connections(app):
        connection.close(_session_ended())
    await page.until("document.getElementById('state').textContent === 'stopped'")


def _connections(app: Any) -> Any:
    from powerstrip_realtime.registry import Registry  # noqa: PLC0415 - the application is composed by now

    return app.state.powerstrip.index.services[Registry]


def _restart() -> Any:
    from powerstrip_realtime.domain import Close, Goodbye  # noqa: PLC0415 - likewise

    return Goodbye(Close.RESTART, retry_ms=500)


def _session_ended() -> Any:
    from powerstrip_realtime.domain import Close, Goodbye  # noqa: PLC0415 - likewise

    return Goodbye(Close.SESSION_ENDED)


async def _main() -> int:
    binary = chromium()
    if binary is None:
        print("no Chromium was found: install it (Debian: apt-get install chromium), or name it in $CHROMIUM")
        return 2
    with TemporaryDirectory(prefix="powerstrip-browser-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        app = _application(Path(folder))
        async with serving(app) as url, open_browser(binary, Path(folder, "profile")) as page:
            await _look(page, app, url)
            print("the demo page signs in, resumes what it missed, says what is forbidden, and stops when told to")
    with TemporaryDirectory(prefix="powerstrip-browser-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        async with serving(exporting(Path(folder))) as url, open_browser(binary, Path(folder, "profile")) as page:
            wrong = await save_all(page, url, Path(folder))
    for line in wrong:
        print(f"  WRONG: {line}")
    print(
        f"{len(wrong)} names are wrong" if wrong else "curl and Chromium save exports under the names that they should"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
