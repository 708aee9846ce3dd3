"""How far a job is."""

from datetime import datetime
from typing import Any

from powerstrip_exports.models import Job, JobStatus


def percent_of(job: Job) -> float | None:
    """0 to 100, or None while nobody knows how many rows there are."""
    if job.status in (JobStatus.DONE, JobStatus.EXPIRED):
        return 100.0
    if not job.total_rows:
        return None
    return round(min(100 * job.rows / job.total_rows, 99.9), 1)


def seconds_left(job: Job, now: datetime) -> float | None:
    """About how long it still takes, or None while nobody can tell."""
    if job.status is not JobStatus.RUNNING or not (job.rows and job.total_rows and job.started_at):
        return None
    elapsed = (now - job.started_at).total_seconds()
    return round(elapsed * (job.total_rows - job.rows) / job.rows, 1)


def progress_of(job: Job, now: datetime) -> dict[str, Any]:
    """The facts that change while a job runs."""
    return {
        "job_id": str(job.id),
        "status": job.status.value,
        "rows": job.rows,
        "total_rows": job.total_rows,
        "percent": percent_of(job),
        "seconds_left": seconds_left(job, now),
    }
