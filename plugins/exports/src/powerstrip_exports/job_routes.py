"""Exports that become files."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from powerstrip import Clock, Forbidden, Identity, NotFound, ValidationError, current_identity, responses, service
from powerstrip_exports.callers import asker_of
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import DOCUMENTED_CONTENT
from powerstrip_exports.errors import (
    ColumnNotKnown,
    FileGone,
    FormatNotInstalled,
    JobNotFinished,
    SourceNotKnown,
    TooManyDownloads,
    TooManyJobs,
    TooManyWatches,
)
from powerstrip_exports.models import WAITING
from powerstrip_exports.schemas import JobList, JobRequest, JobResponse
from powerstrip_exports.service import ExportJobs
from powerstrip_exports.watches import Watches

Caller = Annotated[Identity, Depends(current_identity)]
JobsService = Annotated[ExportJobs, Depends(service(ExportJobs))]
WatchesService = Annotated[Watches, Depends(service(Watches))]
ClockService = Annotated[Clock, Depends(service(Clock))]

_POLL_AFTER = "1"
_EVENT: Mapping[str, Any] = {"type": "object", "properties": {"event": {"type": "string"}, "data": {"type": "string"}}}
_EVENTS: Mapping[int | str, dict[str, Any]] = {
    200: {"description": "Each event.", "content": {"text/event-stream": {"schema": _EVENT}}}
}
_FILE: Mapping[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": dict(DOCUMENTED_CONTENT)},
    206: {"description": "The part that was asked for.", "content": dict(DOCUMENTED_CONTENT)},
    304: {"description": "Still as the caller has it."},
    416: {"description": "The file has no such part."},
}


def job_router(current: Callable[[], Catalog]) -> APIRouter:
    """The routes of jobs, below `/exports`; `current` tells what is offered."""
    router = APIRouter(prefix="/exports", tags=["exports"])
    known = responses(SourceNotKnown, Forbidden, ValidationError, ColumnNotKnown, FormatNotInstalled, TooManyJobs)
    router.add_api_route(
        "",
        _submitter(current),
        methods=["POST"],
        status_code=202,
        name="submit",
        summary="Ask for a file",
        responses=known,
    )
    for path, endpoint, method, summary, problems in (
        ("", jobs, "GET", "List jobs", (Forbidden,)),
        ("/{job_id}", job, "GET", "See how far a job is", (NotFound,)),
    ):
        router.add_api_route(
            f"/jobs{path}", endpoint, methods=[method], summary=summary, responses=responses(*problems)
        )
    for path, streamed, summary, answers in (
        (
            "/{job_id}/events",
            _watcher(current),
            "Watch a job",
            {**_EVENTS, **responses(NotFound, TooManyWatches)},
        ),
        (
            "/{job_id}/file",
            _fetcher(current),
            "Fetch the file of a job",
            {**_FILE, **responses(NotFound, FileGone, JobNotFinished, TooManyDownloads)},
        ),
    ):
        router.add_api_route(
            f"/jobs{path}",
            streamed,
            methods=["GET"],
            summary=summary,
            response_class=Response,
            responses=answers,
        )
    router.add_api_route(
        "/jobs/{job_id}",
        remove,
        methods=["DELETE"],
        status_code=204,
        summary="Stop or forget a job",
        responses=responses(NotFound),
    )
    return router


def _submitter(current: Callable[[], Catalog]) -> Callable[..., Any]:
    async def submit(
        *,
        wanted: JobRequest,
        caller: Caller,
        service: JobsService,
        clock: ClockService,
        request: Request,
        response: Response,
    ) -> JobResponse:
        """Queue an export. `Location` tells how far it is, and then where the file is."""
        queued = await service.submit(current(), wanted, caller, asker_of(request, caller))
        href = f"{request.url.path.rstrip('/')}/jobs/{queued.id}"
        response.headers["Location"] = href
        response.headers["Retry-After"] = _POLL_AFTER
        return JobResponse.of(queued, clock.now(), href)

    return submit


async def jobs(
    caller: Caller,
    service: JobsService,
    clock: ClockService,
    request: Request,
    of_all: Annotated[bool, Query(alias="all", description="Those of everybody.")] = False,
) -> JobList:
    """The hundred newest jobs of the caller."""
    base = request.url.path.rstrip("/")
    found = await service.newest(caller, of_all=of_all)
    return JobList(items=[JobResponse.of(entry, clock.now(), f"{base}/{entry.id}") for entry in found])


async def job(
    *, job_id: UUID, caller: Caller, service: JobsService, clock: ClockService, request: Request, response: Response
) -> JobResponse:
    """For whoever asked for it, and for those who manage exports. For all others there is no such job."""
    found = await service.find(job_id, caller)
    if found.status in WAITING:
        response.headers["Retry-After"] = _POLL_AFTER
    return JobResponse.of(found, clock.now(), request.url.path.rstrip("/"))


async def remove(job_id: UUID, caller: Caller, service: JobsService, request: Request) -> None:
    """Stop a job that waits or runs. One that has ended is forgotten, and its file deleted."""
    await service.remove(job_id, caller, asker_of(request, caller))


def _fetcher(current: Callable[[], Catalog]) -> Callable[..., Any]:
    async def job_file(job_id: UUID, caller: Caller, service: JobsService, request: Request) -> Response:
        """The whole file or, by `Range`, a part of it: a download that broke off goes on where it was. `ETag` and
        `Repr-Digest` are of the whole file."""
        budget = current().budget_of(caller)
        return await service.download(request, job_id, caller, budget, asker_of(request, caller))

    return job_file


def _watcher(current: Callable[[], Catalog]) -> Callable[..., Any]:
    async def job_events(job_id: UUID, caller: Caller, watches: WatchesService, request: Request) -> Response:
        """Server-sent events: `progress` while the job waits or runs, and its last state as `end`."""
        return await watches.open(request, job_id, caller, current().budget_of(caller))

    return job_events
