"""serve: the ASGI application that the server runs."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.types import Receive, Scope, Send

from powerstrip.contract.problems import PluginUnavailable
from powerstrip.host.calls import Call
from powerstrip.host.problems import Problems
from powerstrip.host.supervisor import Supervisor

# What a request began that goes on after it, like a connection of a pool, keeps its context and so its scope. By these
# it would keep a whole generation.
_LEADING_TO_PLUGINS = (
    "app",
    "router",
    "route",
    "endpoint",
    "powerstrip.call",
    "powerstrip.found",
    "powerstrip.route",
    "powerstrip.services",
)


class Dispatcher:
    """Leases the current generation to each request, until its response ends."""

    def __init__(
        self,
        supervisor: Supervisor,
        on_failure: Callable[[Exception], None],
        while_serving: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        """`on_failure` is told why the first start failed, before the server is; `while_serving` surrounds the rest."""
        self._supervisor = supervisor
        self._on_failure = on_failure
        self._while_serving = while_serving
        self._nothing = dict.fromkeys(_LEADING_TO_PLUGINS)  # one update takes a third of the time of eight deletions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        generation = self._supervisor.current
        if generation is None:
            raise RuntimeError("no generation is serving: the server must run the lifespan first")
        leases = generation.leases
        call = Call(leases, scope, receive, send)
        leases.calls.add(call)
        try:
            scope["app"] = generation.application
            scope["powerstrip.call"] = call
            await generation.entry(scope, call.receive, call.send)
        except asyncio.CancelledError:
            if not call.is_ended or call.task is None:
                raise
            call.task.uncancel()
        finally:
            leases.calls.discard(call)
            if leases.watchers:
                leases.note()
            scope.update(self._nothing)
        if call.is_ended and not await call.settle():
            problem = PluginUnavailable("the plugin that answers is being stopped", headers={"Retry-After": "1"})
            await Problems().response(problem, scope)(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._while_serving():
            try:
                await self._supervisor.reload()
            except Exception as error:  # noqa: BLE001 - the operator must be told, and the server
                self._on_failure(error)
                await send({"type": "lifespan.startup.failed", "message": ""})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._supervisor.close()
        await send({"type": "lifespan.shutdown.complete"})
