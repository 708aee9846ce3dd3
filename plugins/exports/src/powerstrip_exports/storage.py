"""SQL about jobs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, and_, delete, func, or_, select, text, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock
from powerstrip_database import Database
from powerstrip_exports.errors import TooManyJobs
from powerstrip_exports.models import WAITING, Job, JobStatus

_GONE = "the process that worked on it stopped each time"


class Jobs:
    """The stored jobs. A worker claims one with a lease; while it renews the lease, no other gets it."""

    def __init__(self, database: Database, clock: Clock, *, lease: float, max_attempts: int) -> None:
        """`lease` is in seconds."""
        self._database = database
        self._clock = clock
        self._lease = timedelta(seconds=lease)
        self._max_attempts = max_attempts

    async def add(self, job: Job, most: int) -> None:
        """Queue a job. Raises TooManyJobs when its owner has `most` that wait or run."""

        async def work(session: AsyncSession) -> None:
            if self._database.dialect == "postgresql":
                # Two at the same moment would each not see the other.
                await session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:owner))"), {"owner": job.owner})
            unfinished = select(func.count()).where(Job.owner == job.owner, Job.status.in_(WAITING))
            if (await session.scalar(unfinished) or 0) >= most:
                raise TooManyJobs
            session.add(job)

        async with self._database.transaction() as session:
            await work(session)

    async def find(self, job_id: UUID) -> Job | None:
        async with self._database.reading() as session:
            return await session.get(Job, job_id)

    async def newest(self, owner: str | None, most: int) -> Sequence[Job]:
        """The newest jobs, of one owner or of all."""
        jobs = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(most)
        async with self._database.reading() as session:
            return (await session.scalars(jobs if owner is None else jobs.where(Job.owner == owner))).all()

    async def claim(self) -> Job | None:
        """Take the job that has waited longest, or one whose worker stopped."""
        async with self._database.reading() as session:
            # Looking costs nothing; where one transaction writes at a time, claiming nothing would.
            if (await session.execute(select(Job.id).where(self._free()).limit(1))).first() is None:
                return None
        return await self._database.retrying(self._claim)

    async def _claim(self, session: AsyncSession) -> Job | None:
        oldest = select(Job).where(self._free()).order_by(Job.created_at, Job.id).limit(1)
        job = (await session.scalars(oldest.with_for_update(skip_locked=True))).one_or_none()
        if job is None:
            return None
        now = self._clock.now()
        if job.attempts >= self._max_attempts:
            job.status, job.error_type, job.error = JobStatus.FAILED, "WorkerStopped", _GONE
            job.finished_at, job.leased_until = now, None
            return None
        job.status, job.attempts, job.started_at = JobStatus.RUNNING, job.attempts + 1, now
        job.leased_until = now + self._lease
        job.rows, job.bytes, job.total_rows = 0, 0, None
        return job

    def _free(self) -> ColumnElement[bool]:
        abandoned = and_(Job.status == JobStatus.RUNNING, Job.leased_until < self._clock.now())
        return or_(Job.status == JobStatus.QUEUED, abandoned)

    async def renew(self, job: Job, *, rows: int, total_rows: int | None, written: int) -> bool:
        """Go on, and tell how far it is. False when the job is not ours any more: cancelled, deleted, or lost."""
        until = self._clock.now() + self._lease
        change = update(Job).where(*_held(job))
        changed = await self._change(change.values(leased_until=until, rows=rows, total_rows=total_rows, bytes=written))
        return changed > 0

    async def finish(self, job: Job, status: JobStatus, **values: Any) -> bool:
        """End a job. False when it is not ours any more; then nothing is changed."""
        now = self._clock.now()
        change = update(Job).where(*_held(job))
        return await self._change(change.values(status=status, finished_at=now, leased_until=None, **values)) > 0

    async def release(self, job: Job) -> None:
        """Give a job back that could not be finished, without counting the attempt."""
        change = update(Job).where(*_held(job))
        await self._change(change.values(status=JobStatus.QUEUED, attempts=job.attempts - 1, leased_until=None))

    async def cancel(self, job_id: UUID) -> bool:
        """End a job that waits or runs; whoever works on it notices at its next renewal. False when it has ended."""
        change = update(Job).where(Job.id == job_id, Job.status.in_(WAITING))
        values = {"status": JobStatus.CANCELLED, "finished_at": self._clock.now(), "leased_until": None}
        return await self._change(change.values(values)) > 0

    async def delete(self, job_id: UUID) -> None:
        await self._change(delete(Job).where(Job.id == job_id, Job.status.not_in(WAITING)))

    async def expire(self) -> Sequence[str]:
        """Let the files go that have expired; returns their keys."""
        now = self._clock.now()

        async def work(session: AsyncSession) -> list[str]:
            expired = select(Job).where(Job.status == JobStatus.DONE, Job.expires_at < now).limit(500)
            keys = []
            for job in await session.scalars(expired.with_for_update(skip_locked=True)):
                job.status = JobStatus.EXPIRED
                keys += [job.file_key] if job.file_key else []
                job.file_key = None
            return keys

        return await self._database.retrying(work)

    async def forget(self, before: datetime) -> None:
        """Delete the jobs that ended before, and whose file is gone."""
        ended = Job.status.not_in((*WAITING, JobStatus.DONE))
        await self._change(delete(Job).where(ended, Job.finished_at < before))

    async def owners_of(self, job_ids: Sequence[UUID]) -> dict[UUID, tuple[str | None, int | None]]:
        """The key of each job's file, and the number of the attempt that writes one."""
        found: dict[UUID, tuple[str | None, int | None]] = {}
        columns = select(Job.id, Job.file_key, Job.status, Job.attempts)
        for start in range(0, len(job_ids), 500):
            async with self._database.reading() as session:
                rows = await session.execute(columns.where(Job.id.in_(job_ids[start : start + 500])))
                for job_id, key, status, attempts in rows:
                    found[job_id] = (key, attempts if status is JobStatus.RUNNING else None)
        return found

    async def _change(self, change: Update | Delete) -> int:
        async def work(session: AsyncSession) -> int:
            return cast("CursorResult[Any]", await session.execute(change)).rowcount

        return await self._database.retrying(work)


def _held(job: Job) -> tuple[ColumnElement[bool], ...]:
    """That a job is still held by whoever claimed it."""
    return Job.id == job.id, Job.attempts == job.attempts, Job.status == JobStatus.RUNNING
