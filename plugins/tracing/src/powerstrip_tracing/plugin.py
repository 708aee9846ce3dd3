"""What tracing brings to the host."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from powerstrip import HostStatus, Interceptor, Middleware, Plugin, Services, Stage, hookimpl
from powerstrip_tracing.interceptors import RequestTrace
from powerstrip_tracing.middleware import AccessLog
from powerstrip_tracing.settings import TracingSettings

_IDS = frozenset(("request_id",))


class Tracing(Plugin[TracingSettings]):
    """Gives every request an id and a place in a trace, times it, and writes the access log."""

    # Proxies are seen through before an address is logged.
    wants = ("edge",)

    def __init__(self, name: str, settings: TracingSettings) -> None:
        super().__init__(name, settings)
        self._trace = RequestTrace(settings)

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [self._trace]

    @hookimpl
    def register_middleware(self) -> Sequence[Middleware]:
        if not self.settings.access_log:
            return []
        exclude, query = self.settings.access_log_exclude, self.settings.access_log_query
        return [Middleware(AccessLog, Stage.OBSERVE, reads=_IDS, exclude=exclude, query=query)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[None]:
        if self.settings.server_timing == "auto":
            self._trace.sends_server_timing = services[HostStatus].debug
        yield
