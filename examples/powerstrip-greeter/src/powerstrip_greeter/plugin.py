"""What the greeter brings to the host: hooks, and nothing else."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from powerstrip import Clock, HealthCheck, Interceptor, Plugin, ProblemHandler, Routes, Services, hookimpl
from powerstrip_greeter.errors import UnknownLanguageError
from powerstrip_greeter.interceptors import Signature
from powerstrip_greeter.routes import language_unknown, router
from powerstrip_greeter.service import Greetings
from powerstrip_greeter.settings import GreeterSettings


class Greeter(Plugin[GreeterSettings]):
    """Greets people by name, in their language and at the right time of day."""

    provides = ("greetings",)

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router)]

    @hookimpl
    def register_interceptors(self) -> Sequence[Interceptor]:
        return [Signature(self.settings.signature)] if self.settings.signature else []

    @hookimpl
    def register_problem_handlers(self) -> Sequence[ProblemHandler]:
        return [ProblemHandler(UnknownLanguageError, language_unknown)]

    @hookimpl
    def register_health_checks(self) -> Sequence[HealthCheck]:
        return [HealthCheck("greetings", self._facts, critical=False)]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[Greetings]:
        self._greetings = Greetings(self.settings.language, self.settings.time_zone, services[Clock])
        yield self._greetings

    async def _facts(self) -> Mapping[str, Any]:
        return {"greeted": self._greetings.greeted}
