"""What the endpoints answer."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from powerstrip import HostStep, ReloadOutcome
from powerstrip_health.domain import CheckResult, Report, Status

DraftStatus = Literal["pass", "warn", "fail"]

_NOW = "2026-01-31T12:00:00Z"


class HealthSummary(BaseModel):
    """How things are, in one word."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "healthy", "timestamp": _NOW}]})

    status: Status = Field(description="`degraded`: works, but something that isn't critical fails.")
    timestamp: datetime = Field(description="When this was found out (RFC 3339).")


class ReadinessSummary(HealthSummary):
    """Whether requests should be sent here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"status": "healthy", "timestamp": _NOW, "step": "serving", "generation": 1, "reasons": []}]
        }
    )

    step: HostStep | None = Field(default=None, description="What the server is doing.")
    generation: int | None = Field(default=None, description="The number of the running configuration.")
    reasons: list[str] | None = Field(default=None, description="Why no requests should come here.")


class ServiceHealth(BaseModel):
    """What one check said."""

    status: Status
    plugin: str = Field(description="The plugin that checks.", examples=["database"])
    critical: bool = Field(description="Whether a failure turns readiness red.")
    checked_at: datetime = Field(description="When the check ran; results are kept for a moment.")
    duration_ms: float = Field(description="How long it took.", examples=[1.7])
    details: dict[str, Any] = Field(default_factory=dict, description="Facts that the plugin shows.")
    error: str | None = Field(default=None, description="What kind of failure.", examples=["ConnectionRefusedError"])
    message: str | None = Field(default=None, description="The failure in words, with `app.debug` only.")


class ReloadHealth(BaseModel):
    """How the last change of the configuration went."""

    succeeded: bool = Field(description="If not, the configuration before serves on.")
    ended_at: datetime
    duration_ms: float
    restart_needed: list[str] = Field(default_factory=list, description="What only a restart can bring about.")
    error: str | None = Field(default=None, description="What kind of failure.", examples=["ConfigError"])
    message: str | None = Field(default=None, description="The failure in words, with `app.debug` only.")


class DetailedHealth(ReadinessSummary):
    """How each part is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "degraded",
                    "timestamp": _NOW,
                    "step": "serving",
                    "generation": 1,
                    "reasons": [],
                    "version": "1.4.0",
                    "started_at": _NOW,
                    "services": {
                        "cache": {
                            "status": "unhealthy",
                            "plugin": "redis",
                            "critical": False,
                            "checked_at": _NOW,
                            "duration_ms": 2.4,
                            "details": {},
                            "error": "ConnectionRefusedError",
                        }
                    },
                }
            ]
        }
    )

    version: str | None = Field(default=None, description="The version of this API.", examples=["1.4.0"])
    started_at: datetime | None = Field(default=None, description="When this configuration began to serve.")
    services: dict[str, ServiceHealth] | None = Field(default=None, description="The checks of all plugins, by name.")
    unavailable: dict[str, str] | None = Field(
        default=None,
        description="Plugins that could not start, and why.",
        examples=[{"exports": "requires 'database'"}],
    )
    last_reload: ReloadHealth | None = Field(default=None, description="Missing until there was one.")


class CheckDocument(BaseModel):
    """One check, in the words of draft-inadarei-api-health-check, 4."""

    componentId: str  # noqa: N815 - the draft's spelling
    componentType: Literal["component"] = "component"  # noqa: N815 - the draft's spelling
    observedValue: float  # noqa: N815 - the draft's spelling
    observedUnit: Literal["ms"] = "ms"  # noqa: N815 - the draft's spelling
    status: DraftStatus
    time: datetime
    output: str | None = None


class HealthDocument(BaseModel):
    """The same as draft-inadarei-api-health-check-06 has it, for clients that ask for `application/health+json`."""

    status: DraftStatus
    version: str | None = None
    notes: list[str] | None = None
    checks: dict[str, list[CheckDocument]] | None = None


def service_health(result: CheckResult, *, debug: bool) -> ServiceHealth:
    """One result for people to read; why it failed in words only for developers."""
    return ServiceHealth(
        status=result.status,
        plugin=result.plugin,
        critical=result.critical,
        checked_at=result.checked_at,
        duration_ms=result.duration_ms,
        details=dict(result.facts),
        error=result.error,
        message=result.message if debug else None,
    )


def detailed_health(report: Report, timestamp: datetime, *, debug: bool) -> DetailedHealth:
    """The whole report."""
    return DetailedHealth(
        status=report.status,
        timestamp=timestamp,
        step=report.readiness.step,
        generation=report.readiness.generation,
        reasons=list(report.readiness.reasons),
        version=report.version,
        started_at=report.started_at,
        services={name: service_health(result, debug=debug) for name, result in report.named_results.items()},
        unavailable=dict(report.unavailable) or None,
        last_reload=reload_health(report.last_reload, debug=debug) if report.last_reload else None,
    )


def reload_health(outcome: ReloadOutcome, *, debug: bool) -> ReloadHealth:
    """How a reload ended; why it failed in words only for developers."""
    return ReloadHealth(
        succeeded=outcome.succeeded,
        ended_at=outcome.ended_at,
        duration_ms=round(outcome.duration * 1000, 3),
        restart_needed=list(outcome.restart_needed),
        error=outcome.error,
        message=outcome.reason if debug else None,
    )


def describe_draft(openapi: dict[str, Any]) -> None:
    """Add `HealthDocument` to an OpenAPI document: the routes refer to it, but no response model is it."""
    schema = HealthDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = openapi.setdefault("components", {}).setdefault("schemas", {})
    schemas.update({**schema.pop("$defs", {}), "HealthDocument": schema})


def health_document(health: HealthSummary) -> HealthDocument:
    """Any of our answers in the words of the draft."""
    document = HealthDocument(status=_draft_status(health.status))
    if isinstance(health, ReadinessSummary):
        document.notes = health.reasons or None
    if isinstance(health, DetailedHealth):
        document.version = health.version
        document.checks = {
            f"{name}:responseTime": [_check_document(name, service)]
            for name, service in (health.services or {}).items()
        } or None
    return document


def _check_document(name: str, service: ServiceHealth) -> CheckDocument:
    return CheckDocument(
        componentId=name,
        observedValue=service.duration_ms,
        status=_draft_status(service.status),
        time=service.checked_at,
        output=service.message or service.error,
    )


def _draft_status(status: Status) -> DraftStatus:
    words: dict[Status, DraftStatus] = {"healthy": "pass", "degraded": "warn", "unhealthy": "fail"}
    return words[status]
