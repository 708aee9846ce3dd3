"""Server-sent events about jobs."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from powerstrip import Clock, Identity, NotFound
from powerstrip_exports.errors import TooManyWatches
from powerstrip_exports.models import WAITING, Job
from powerstrip_exports.places import Places
from powerstrip_exports.progress import progress_of
from powerstrip_exports.response import FileStream, Outcome
from powerstrip_exports.service import ExportJobs
from powerstrip_exports.settings import Budget

_LOOK_AGAIN = 1.0
_LONGEST = 3_600.0
_HEADERS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_MEDIA_TYPE = "text/event-stream"


class Watches:
    """Tells how far jobs are, each caller so many at a time: every watch looks at its job again and again."""

    def __init__(self, jobs: ExportJobs, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._places = Places(TooManyWatches)

    async def open(self, request: Request, job_id: UUID, caller: Identity, budget: Budget) -> Response:
        """Events until the job ends. Raises NotFound and TooManyWatches."""
        job = await self._jobs.find(job_id, caller)
        if request.method == "HEAD":
            return Response(headers=_HEADERS, media_type=_MEDIA_TYPE)
        events = self._events(job, caller)
        body = self._places.seated(events, caller, budget.watches)
        return FileStream(
            await anext(body),
            body,
            headers=_HEADERS,
            media_type=_MEDIA_TYPE,
            timeout=_LONGEST,
            on_end=_nothing,
        )

    async def _events(self, found: Job, caller: Identity) -> AsyncGenerator[bytes]:
        job_id, told = found.id, b""
        while True:
            is_over = found.status not in WAITING
            facts = json.dumps(progress_of(found, self._clock.now()), separators=(",", ":")).encode()
            # A comment keeps proxies from giving up on a job that waits for long.
            yield b": \n\n" if facts == told else _event(b"end" if is_over else b"progress", facts)
            if is_over:
                return
            told = facts
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                found = await self._jobs.find(job_id, caller)
            except NotFound:
                return


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)


async def _nothing(_outcome: Outcome) -> None:
    return None
