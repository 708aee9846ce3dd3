"""The use cases of jobs: ask for a file, see how far it is, fetch it, stop it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError as InvalidFilters
from starlette.requests import Request
from starlette.responses import Response

from powerstrip import Clock, ExportSource, Forbidden, Identity, NotFound, Services, ValidationError
from powerstrip_exports.audit import Asker, Audit
from powerstrip_exports.catalog import Catalog, may_read
from powerstrip_exports.domain import MANAGE_EXPORTS
from powerstrip_exports.downloads import download
from powerstrip_exports.encoders import check_format
from powerstrip_exports.errors import FileGone, JobNotFinished, SourceNotKnown, TooManyDownloads
from powerstrip_exports.files import FileStore
from powerstrip_exports.models import Job, JobStatus
from powerstrip_exports.pipeline import packer_for
from powerstrip_exports.places import Places
from powerstrip_exports.response import Outcome
from powerstrip_exports.schemas import JobRequest
from powerstrip_exports.settings import Budget
from powerstrip_exports.storage import Jobs
from powerstrip_exports.worker import JobWorker, wanted_by

_MOST_LISTED = 100


class ExportJobs:
    """What callers do with jobs. Others' jobs don't exist for them, unless they manage exports."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        worker: JobWorker,
        files: FileStore,
        audit: Audit,
        services: Services,
        timeout: float,
    ) -> None:
        """`timeout` is in seconds: how long a download may take."""
        self._jobs = jobs
        self._worker = worker
        self._files = files
        self._audit = audit
        self._clock = services[Clock]
        self._services = services
        self._timeout = timeout
        self._places = Places(TooManyDownloads)

    async def submit(self, catalog: Catalog, request: JobRequest, caller: Identity, asker: Asker) -> Job:
        """Queue an export. Raises SourceNotKnown, Forbidden, ValidationError, ColumnNotKnown, FormatNotInstalled and
        TooManyJobs."""
        offered = catalog.find(request.source)
        if offered is None:
            raise SourceNotKnown
        if not may_read(caller, offered.source):
            raise Forbidden(f"The permission '{offered.source.permission}' is needed to do this.")
        check_format(request.format)
        packer_for(request.compression)
        job = Job(
            owner=caller.id,
            caller=_stored(caller),
            request_id=asker.request_id,
            client_address=asker.client_address[:64],
            source=request.source,
            options=request.model_dump(mode="json", exclude={"source", "filters"}),
            filters=_checked_filters(offered.source, request.filters),
            created_at=self._clock.now(),
        )
        wanted_by(job, catalog, self._services)  # raises for columns that there aren't
        await self._jobs.add(job, catalog.budget_of(caller).jobs)
        facts = {"job": str(job.id), "source": job.source, **job.options, "filters": job.filters}
        await self._audit.note("export.queued", asker, facts)
        self._worker.wake()
        return job

    async def find(self, job_id: UUID, caller: Identity) -> Job:
        """A job of the caller's. Raises NotFound."""
        job = await self._jobs.find(job_id)
        if job is None or not _is_for(job, caller):
            raise NotFound
        return job

    async def newest(self, caller: Identity, *, of_all: bool) -> Sequence[Job]:
        """The newest jobs, the caller's or everybody's. Raises Forbidden."""
        if of_all and not caller.may(MANAGE_EXPORTS):
            raise Forbidden(f"The permission '{MANAGE_EXPORTS}' is needed to do this.")
        return await self._jobs.newest(None if of_all else caller.id, _MOST_LISTED)

    async def remove(self, job_id: UUID, caller: Identity, asker: Asker) -> None:
        """Stop a job that waits or runs; forget one that has ended, with its file. Raises NotFound."""
        job = await self.find(job_id, caller)
        if await self._jobs.cancel(job_id):
            self._worker.stop(job_id)
            action = "export.cancelled"
        else:
            await self._jobs.delete(job_id)
            if job.file_key is not None:
                await self._files.delete(job.file_key)
            action = "export.deleted"
        await self._audit.note(action, asker, {"job": str(job_id), "source": job.source})

    async def _file_of(self, job_id: UUID, caller: Identity) -> Job:
        """A job whose file is there. Raises NotFound, JobNotFinished and FileGone."""
        job = await self.find(job_id, caller)
        if job.status is JobStatus.EXPIRED:
            raise FileGone
        if job.status is not JobStatus.DONE or job.file_key is None:
            raise JobNotFinished(details=[{"status": job.status.value}])
        return job

    async def download(
        self, request: Request, job_id: UUID, caller: Identity, budget: Budget, asker: Asker
    ) -> Response:
        """The answer with the file. Raises NotFound, JobNotFinished, FileGone and TooManyDownloads."""
        job = await self._file_of(job_id, caller)

        def reading(start: int, end: int) -> AsyncGenerator[bytes]:
            body = self._files.reading(job.file_key or "", start, end)
            return self._places.seated(body, caller, budget.downloads)

        async def on_end(outcome: Outcome) -> None:
            await self._audit.note(
                "export.downloaded", asker, {"job": str(job_id), "source": job.source, "outcome": outcome}
            )

        try:
            return await download(request, job, reading, longest=self._timeout, on_end=on_end)
        except FileNotFoundError:
            raise FileGone from None


def _is_for(job: Job, caller: Identity) -> bool:
    return job.owner == caller.id or caller.may(MANAGE_EXPORTS)


def _stored(caller: Identity) -> dict[str, Any]:
    return {
        "id": caller.id,
        "name": caller.name,
        "roles": sorted(caller.roles),
        "permissions": sorted(caller.permissions),
    }


def _checked_filters(source: ExportSource, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as JSON. Raises ValidationError."""
    if source.filters is None:
        if filters:
            raise ValidationError("This source has no filters.")
        return {}
    try:
        checked = source.filters.model_validate(filters)
    except InvalidFilters as error:
        details = [
            {"location": ["body", "filters", *entry["loc"]], "message": entry["msg"], "code": entry["type"]}
            for entry in error.errors(include_input=False, include_url=False)
        ]
        raise ValidationError(details=details) from None
    return checked.model_dump(mode="json", exclude_unset=True)
