"""A client at the ASGI interface, which reads as fast as it is told to."""

import asyncio

from powerstrip.testing import signed_in


class Client:
    """One request, sent at once. Each message of its answer waits until it may be read."""

    def __init__(self, api, path, caller):
        self.messages = []
        self.is_asked = False
        self.may_read = asyncio.Semaphore(0)
        self.left = asyncio.Event()
        self.changed = asyncio.Event()
        path, _, query = path.partition("?")
        headers = [(name.lower().encode(), value.encode()) for name, value in signed_in(caller).items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": f"/api/v1{path}",
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"api.example"), *headers],
            "client": ("192.0.2.1", 1),
            "server": ("api.example", 80),
            "state": {},
        }
        self.task = asyncio.create_task(api.app(scope, self._receive, self._send))

    async def _receive(self):
        if not self.is_asked:
            self.is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        await self.may_read.acquire()
        self.messages.append(message)
        self.changed.set()

    async def read(self, count):
        wanted = len(self.messages) + count
        for _ in range(count):
            self.may_read.release()
        async with asyncio.timeout(30):
            while len(self.messages) < wanted and not self.task.done():
                self.changed.clear()
                await self.changed.wait()

    def leave(self):
        self.left.set()

    @property
    def is_complete(self):
        last = self.messages[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)

    async def read_all(self):
        for _ in range(100_000):
            self.may_read.release()
        await asyncio.wait_for(self.task, 60)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.messages)
