"""The health endpoints."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from powerstrip import ServiceNotFoundError, identity_of, public, services_of
from powerstrip_health.domain import Status
from powerstrip_health.schemas import (
    DetailedHealth,
    HealthDocument,
    HealthSummary,
    ReadinessSummary,
    detailed_health,
    health_document,
)
from powerstrip_health.service import HealthService

HEALTH_JSON = "application/health+json"
_DEFAULT_RETRY_AFTER = 5


def running_service(request: Request) -> HealthService | None:
    """The service, or None while the application is not started."""
    try:
        return services_of(request).get(HealthService)
    except ServiceNotFoundError:
        return None


Service = Annotated[HealthService | None, Depends(running_service)]

_DRAFT: Mapping[str, Any] = {HEALTH_JSON: {"schema": {"$ref": "#/components/schemas/HealthDocument"}}}


def _responses(unhealthy: type[HealthSummary] | None = None) -> dict[int | str, dict[str, Any]]:
    documented: dict[int | str, dict[str, Any]] = {200: {"content": _DRAFT}}
    if unhealthy is not None:
        headers = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
        documented[503] = {
            "model": unhealthy,
            "description": "Not healthy.",
            "headers": headers,
            "content": _DRAFT,
        }
    return documented


router = APIRouter(prefix="/health", dependencies=[Depends(public)])


@router.get("", summary="Does the process answer?", response_model=HealthSummary, responses=_responses())
async def summary(request: Request) -> Response:
    """Touches nothing else: it says that the process serves requests."""
    return _answer(request, _summary("healthy"))


@router.get("/live", summary="Should it be restarted?", response_model=HealthSummary, responses=_responses())
async def live(request: Request) -> Response:
    """For liveness probes. No dependency is looked at: restarting this process would not repair it."""
    return _answer(request, _summary("healthy"))


@router.get(
    "/startup",
    summary="Has it started?",
    response_model=HealthSummary,
    responses=_responses(HealthSummary),
)
async def startup(request: Request, service: Service) -> Response:
    """For startup probes: 503 until all plugins have started."""
    started = service is not None and service.host.step in ("serving", "draining")
    return _answer(request, _summary("healthy" if started else "unhealthy", service), service)


@router.get(
    "/ready",
    summary="Should requests be sent here?",
    response_model=ReadinessSummary,
    responses=_responses(ReadinessSummary),
)
async def ready(request: Request, service: Service) -> Response:
    """For readiness probes: 503 while starting or draining, and while a critical check fails."""
    if service is None:
        return _answer(request, _summary("unhealthy"))
    readiness = await service.readiness()
    if not _shows_details(request, service):
        return _answer(request, _summary(readiness.status, service), service)
    health = ReadinessSummary(
        status=readiness.status,
        timestamp=service.clock.now(),
        step=readiness.step,
        generation=readiness.generation,
        reasons=list(readiness.reasons),
    )
    return _answer(request, health, service)


@router.get(
    "/detailed",
    summary="How is each part?",
    response_model=DetailedHealth,
    responses=_responses(DetailedHealth),
)
async def detailed(request: Request, service: Service) -> Response:
    """The checks of all plugins. 503 when a critical one fails, 200 and `degraded` when only others do.

    `details` in the settings decides who sees more than the status.
    """
    if service is None:
        return _answer(request, _summary("unhealthy"))
    report = await service.report()
    if not _shows_details(request, service):
        return _answer(request, _summary(report.status, service), service)
    return _answer(request, detailed_health(report, service.clock.now(), debug=service.host.debug), service)


def _summary(status: Status, service: HealthService | None = None) -> HealthSummary:
    return HealthSummary(status=status, timestamp=service.clock.now() if service else datetime.now(UTC))


def _shows_details(request: Request, service: HealthService) -> bool:
    settings = service.settings
    if settings.details == "admin":
        identity = identity_of(request)
        return identity is not None and settings.details_role in identity.roles
    return settings.details == "always"


def _answer(request: Request, health: HealthSummary, service: HealthService | None = None) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    status = 200
    if health.status == "unhealthy":
        status = 503
        headers["Retry-After"] = str(service.settings.retry_after if service else _DEFAULT_RETRY_AFTER)
    wants_draft = HEALTH_JSON in request.headers.get("accept", "").lower()
    body: HealthSummary | HealthDocument = health_document(health) if wants_draft else health
    media_type = HEALTH_JSON if wants_draft else "application/json"
    return Response(body.model_dump_json(exclude_none=True), status, headers, media_type)
