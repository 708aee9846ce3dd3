"""Works on jobs, and sweeps up behind them."""

import asyncio
import hashlib
import logging
import re
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from powerstrip import Clock, Event, EventBus, ExportContext, Identity, InternalServerError, Problem, Services
from powerstrip_exports.audit import Asker, Audit, facts_of
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.domain import Compression, Format, Tally, ending, media_type
from powerstrip_exports.errors import ExportTooLarge, SourceNotKnown
from powerstrip_exports.files import FileStore
from powerstrip_exports.models import Job, JobStatus
from powerstrip_exports.names import file_name
from powerstrip_exports.pipeline import chunks, packer_for
from powerstrip_exports.progress import progress_of
from powerstrip_exports.reading import Reading, Wanted
from powerstrip_exports.settings import JobSettings
from powerstrip_exports.storage import Jobs
from powerstrip_exports.threads import Threads

logger = logging.getLogger(__name__)

_TELL_EVERY = 1.0
_SWEEP_EVERY = 60.0
_REST_AFTER_FAILURE = 5.0
_LONGEST_ERROR = 500
_KEY = re.compile(r"([0-9a-f]{32})-([0-9]+)")


class JobLostError(Exception):
    """The job is not ours any more: it was cancelled, or another worker has it."""


def identity_of_job(job: Job) -> Identity:
    """Who asked, as far as it was stored."""
    stored = job.caller
    return Identity(stored["id"], stored["name"], frozenset(stored["roles"]), frozenset(stored["permissions"]))


def wanted_by(job: Job, catalog: Catalog, services: Services) -> Wanted:
    """The export that a job is. Raises SourceNotKnown and ColumnNotKnown."""
    offered = catalog.find(job.source)
    if offered is None:
        raise SourceNotKnown
    source, caller = offered.source, identity_of_job(job)
    filters = source.filters.model_validate(job.filters) if source.filters else None
    selection = catalog.select(source, job.options["columns"], caller)
    return Wanted(
        selection, ExportContext(services, filters, caller), Format(job.options["format"]), job.options["bom"]
    )


class JobWorker:
    """Works on as many jobs at a time as the settings say. Any number of processes may do so side by side."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        files: FileStore,
        reading: Reading,
        threads: Threads,
        audit: Audit,
        settings: JobSettings,
        services: Services,
        catalog: Catalog,
    ) -> None:
        self.catalog = catalog
        self._jobs = jobs
        self._files = files
        self._reading = reading
        self._threads = threads
        self._audit = audit
        self._settings = settings
        self._services = services
        self._clock = services[Clock]
        self._woken = asyncio.Event()
        self._working: dict[UUID, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def stop(self, job_id: UUID) -> None:
        """Stop working on a job that was cancelled, if this process does."""
        task = self._working.get(job_id)
        if task is not None:
            task.cancel()

    async def follow(self) -> None:
        """Work on what is queued again and again, for ever. A database that is away is waited for."""
        try:
            while True:
                self._woken.clear()
                rest = self._settings.poll_interval
                try:
                    await self._begin()
                except Exception:
                    logger.exception("jobs can't be read; trying again until they can")
                    rest = _REST_AFTER_FAILURE
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest):
                        await self._woken.wait()
        finally:
            for task in self._working.values():
                task.cancel()
            await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def _begin(self) -> None:
        while len(self._working) < self._settings.workers and (job := await self._jobs.claim()) is not None:
            task = asyncio.create_task(self._work(job), name=f"export {job.id}")
            self._working[job.id] = task
            task.add_done_callback(partial(self._on_worked, job.id))

    def _on_worked(self, job_id: UUID, task: "asyncio.Task[None]") -> None:
        self._working.pop(job_id, None)
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease expires, and it is begun again.
            logger.error("what became of an export can't be written down", exc_info=error, extra={"job": str(job_id)})

    async def _work(self, job: Job) -> None:
        attempt = JobAttempt(job, self._jobs, self._files, self._services, self._settings)
        try:
            await attempt.run(self.catalog, self._reading, self._threads)
        except JobLostError:
            logger.info("a job was cancelled or lost", extra={"job": str(job.id)})
        except asyncio.CancelledError:
            # Cancelled by its owner, or by the stop of this process: then another one begins it again at once.
            await asyncio.shield(self._jobs.release(job))
            raise
        except Problem as problem:
            await self._fail(job, attempt, problem)
        except Exception:
            logger.exception("an export failed", extra={"job": str(job.id), "source": job.source})
            await self._fail(job, attempt, InternalServerError())
        else:
            await self._note(job, attempt, "complete")
        await attempt.tell()

    async def _fail(self, job: Job, attempt: "JobAttempt", problem: Problem) -> None:
        await self._jobs.finish(job, JobStatus.FAILED, error_type=problem.type, error=problem.message[:_LONGEST_ERROR])
        await self._note(job, attempt, "failed")

    async def _note(self, job: Job, attempt: "JobAttempt", outcome: str) -> None:
        asker = Asker(identity_of_job(job), job.request_id, job.client_address)
        counted = {"rows": attempt.tally.rows, "bytes": attempt.tally.bytes, "outcome": outcome}
        facts = {"job": str(job.id), **attempt.facts, **counted}
        await self._audit.note("export.ended", asker, facts)


class JobAttempt:
    """One attempt at a job: writes the file while it renews the lease and tells how far it is."""

    def __init__(self, job: Job, jobs: Jobs, files: FileStore, services: Services, settings: JobSettings) -> None:
        self.tally = Tally()
        self.facts: dict[str, Any] = {"source": job.source}
        self._job = job
        self._jobs = jobs
        self._files = files
        self._services = services
        self._settings = settings
        self._clock = services[Clock]
        self._total: int | None = None
        self._key = f"{job.id.hex}-{job.attempts}"

    async def run(self, catalog: Catalog, reading: Reading, threads: Threads) -> None:
        """Raises JobLostError when another worker has the job, and what is wrong with the export."""
        wanted = wanted_by(self._job, catalog, self._services)
        compression = Compression(self._job.options["compression"])
        self.facts = facts_of(wanted, compression)
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew())
                await self._write(wanted, compression, catalog, reading, threads)
                renewing.cancel()
        except BaseExceptionGroup as group:
            raise _first_of(group) from None

    async def _write(
        self, wanted: Wanted, compression: Compression, catalog: Catalog, reading: Reading, threads: Threads
    ) -> None:
        budget = catalog.budget_of(wanted.context.caller)
        self._total = await reading.count(wanted)
        if budget.rows is not None and self._total is not None and self._total > budget.rows:
            raise ExportTooLarge
        digest = hashlib.sha256()
        body = chunks(reading.pieces(wanted), packer_for(compression), threads, self.tally, budget)
        async with self._files.writing(self._key) as file, aclosing(body):
            async for chunk in body:
                await threads.run(digest.update, chunk)
                await file.write(chunk)
        self.facts["sha256"] = digest.hexdigest()
        if not await self._finish(wanted, compression, digest.hexdigest()):
            await self._files.delete(self._key)
            raise JobLostError

    async def _finish(self, wanted: Wanted, compression: Compression, sha256: str) -> bool:
        now = self._clock.now()
        return await self._jobs.finish(
            self._job,
            JobStatus.DONE,
            rows=self.tally.rows,
            total_rows=self.tally.rows,
            bytes=self.tally.bytes,
            sha256=sha256,
            file_key=self._key,
            file_name=file_name(wanted.title, now, ending(wanted.format, compression)),
            media_type=media_type(wanted.format, compression),
            expires_at=now + timedelta(seconds=self._settings.keep),
        )

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time
        renewed = now()
        told = -1
        while True:
            await asyncio.sleep(min(_TELL_EVERY, self._settings.lease / 4))
            rows = self.tally.rows
            is_due = now() - renewed >= self._settings.lease / 4
            if rows == told and not is_due:
                continue
            held = await self._jobs.renew(self._job, rows=rows, total_rows=self._total, written=self.tally.bytes)
            if not held:
                raise JobLostError
            renewed, told = now(), rows
            await self.tell()

    async def tell(self) -> None:
        """Publish how far the job is, to its owner."""
        job = await self._jobs.find(self._job.id)
        if job is not None:
            progress = progress_of(job, self._clock.now())
            kind = "export.progress" if job.status is JobStatus.RUNNING else f"export.{job.status.value}"
            await self._services[EventBus].publish(Event(f"user:{job.owner}", kind, progress))


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    lost = group.subgroup(JobLostError)
    error: BaseException = lost or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Sweep:
    """Removes files that have expired, files that nobody will finish, and jobs that are long over."""

    def __init__(self, jobs: Jobs, files: FileStore, settings: JobSettings, clock: Clock) -> None:
        self._jobs = jobs
        self._files = files
        self._settings = settings
        self._clock = clock

    async def follow(self) -> None:
        """Sweep now and then, for ever. Every process does, whichever comes first."""
        while True:
            await self.run()
            await asyncio.sleep(_SWEEP_EVERY)

    async def run(self) -> None:
        """Sweep once."""
        for key in await self._jobs.expire():
            await self._files.delete(key)
        await self._jobs.forget(self._clock.now() - timedelta(seconds=self._settings.keep_record))
        keys = [(key, found) for key in await self._files.keys() if (found := _KEY.fullmatch(key))]
        owners = await self._jobs.owners_of(list({UUID(found[1]) for _, found in keys}))
        for key, found in keys:
            kept, attempt = owners.get(UUID(found[1]), (None, None))
            # An attempt's file belongs to it until the job's row names it, or another attempt has begun.
            if key != kept and int(found[2]) != attempt:
                await self._files.delete(key)
