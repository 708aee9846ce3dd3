"""What health brings to the host."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from powerstrip import Clock, HostStatus, Plugin, Routes, Services, hookimpl
from powerstrip_health.routes import router
from powerstrip_health.schemas import describe_draft
from powerstrip_health.service import HealthService
from powerstrip_health.settings import HealthSettings


class Health(Plugin[HealthSettings]):
    """Tells probes, load balancers and people how the API is."""

    @hookimpl
    def register_routes(self) -> Sequence[Routes]:
        return [Routes(router, version=None)]

    @hookimpl
    def customise_openapi(self, document: dict[str, Any]) -> None:
        describe_draft(document)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services: Services) -> AsyncGenerator[HealthService]:
        service = HealthService(services[HostStatus], self.settings, services[Clock])
        try:
            yield service
        finally:
            await service.close()
