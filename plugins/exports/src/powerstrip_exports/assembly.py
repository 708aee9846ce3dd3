"""Puts the running parts together."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from powerstrip import Clock, Services
from powerstrip_database import Database
from powerstrip_exports.audit import Audit
from powerstrip_exports.catalog import Catalog
from powerstrip_exports.encoders import load_libraries
from powerstrip_exports.errors import ExtraMissingError
from powerstrip_exports.files import FileStore, LocalFileStore
from powerstrip_exports.reading import Reading
from powerstrip_exports.service import ExportJobs
from powerstrip_exports.settings import ExportsSettings, JobSettings
from powerstrip_exports.sqlite import reading_engine
from powerstrip_exports.storage import Jobs
from powerstrip_exports.streams import Streams
from powerstrip_exports.threads import Threads
from powerstrip_exports.watches import Watches
from powerstrip_exports.worker import JobWorker, Sweep

_MOST_THREADS = 4


@asynccontextmanager
async def running_exports(
    catalog: Catalog, settings: ExportsSettings, services: Services
) -> AsyncGenerator[tuple[object, ...]]:
    """The services of exports, from the start of its lifespan to its end."""
    database, clock = services[Database], services[Clock]
    engine = reading_engine(database) if database.dialect == "sqlite" else None
    jobs = Jobs(database, clock, lease=settings.jobs.lease, max_attempts=settings.jobs.attempts)
    files = await asyncio.to_thread(_file_store, settings.jobs)
    audit = Audit(services)
    with Threads.running(min(_MOST_THREADS, (os.cpu_count() or 1) + 1)) as threads:
        reading = Reading(database, engine, threads)
        worker = JobWorker(
            jobs=jobs,
            files=files,
            reading=reading,
            threads=threads,
            audit=audit,
            settings=settings.jobs,
            services=services,
            catalog=catalog,
        )
        service = ExportJobs(
            jobs=jobs, worker=worker, files=files, audit=audit, services=services, timeout=settings.stream_timeout
        )
        streams = Streams(reading, threads, audit, settings, clock)
        loading = asyncio.create_task(threads.run(load_libraries))
        try:
            sweep, watches = Sweep(jobs, files, settings.jobs, clock), Watches(service, clock)
            yield catalog, reading, threads, streams, worker, service, watches, sweep
        finally:
            # What can't be loaded is missed by the export that wants it.
            await asyncio.gather(loading, return_exceptions=True)


def _file_store(settings: JobSettings) -> FileStore:
    if settings.bucket is None:
        return LocalFileStore(settings.folder)
    try:
        # Late: an extra, and the rest works without it.
        from powerstrip_exports.bucket import bucket_store  # noqa: PLC0415
    except ImportError:
        raise ExtraMissingError("files in a bucket need a library: pip install 'powerstrip-exports[s3]'") from None
    return bucket_store(settings.bucket)
