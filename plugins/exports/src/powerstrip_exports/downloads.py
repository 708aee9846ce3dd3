"""Files of jobs over HTTP: whole, in part, or not again (RFC 9110, 13 and 14)."""

import base64
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from powerstrip_exports.models import Job
from powerstrip_exports.names import content_disposition
from powerstrip_exports.response import FileStream, OnEnd

Reading = Callable[[int, int], AsyncGenerator[bytes]]
"""Gives the bytes of a file from the first number up to the second, without it."""

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to `end`, without it."""

    start: int
    end: int


def wanted_span(header: str | None, size: int) -> Span | None:
    """The part that a `Range` header asks for; None for the whole, also where it asks for what we need not understand.

    Raises ValueError when the file has no such part.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if not int(suffix) or not size:
            raise ValueError(header)
        return Span(max(0, size - int(suffix)), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError(header)
    return Span(start, min(size, int(last) + 1) if last else size)


async def download(request: Request, job: Job, reading: Reading, *, longest: float, on_end: OnEnd) -> Response:
    """The answer with a job's file, which may take `longest` seconds. Raises what `reading` raises."""
    headers = _headers(job)
    tags = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    if tags & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    condition = request.headers.get("if-range")
    try:
        # Another file than the one that the client has a part of: all of it.
        is_same = condition is None or condition.strip() == headers["ETag"]
        span = wanted_span(request.headers.get("range"), job.bytes) if is_same else None
    except ValueError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{job.bytes}"})
    start, end = (span.start, span.end) if span else (0, job.bytes)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{job.bytes}"
    if request.method == "HEAD":
        return Response(headers=headers, status_code=206 if span else 200, media_type=job.media_type)
    body = reading(start, end)
    return FileStream(
        await anext(body, b""),
        body,
        headers=headers,
        media_type=job.media_type or "",
        timeout=longest,
        on_end=on_end,
        status=206 if span else 200,
    )


def _headers(job: Job) -> dict[str, str]:
    sha256 = job.sha256 or ""
    return {
        "ETag": f'"{sha256}"',
        # RFC 9530: of the whole file, whatever part is sent.
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        "Accept-Ranges": "bytes",
        "Content-Disposition": content_disposition(job.file_name or "export"),
        # What is packed on the way can't be resumed.
        "Cache-Control": "private, no-transform",
        "X-Content-Type-Options": "nosniff",
    }
