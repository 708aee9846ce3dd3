"""From pieces to the chunks of a file: packed where that is wanted, 64 to 256 KiB each, and counted."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, Protocol

from powerstrip_exports.domain import Compression, Piece, Tally
from powerstrip_exports.errors import ExportTooLarge, FormatNotInstalled
from powerstrip_exports.settings import Budget
from powerstrip_exports.threads import Threads

LEAST = 64 * 1024
MOST = 256 * 1024


class Packer(Protocol):
    """Packs a file, piece by piece."""

    def compress(self, data: bytes | memoryview) -> bytes: ...

    def flush(self) -> bytes: ...


def packer_for(compression: Compression) -> Packer | None:
    """A new packer, or None for none. Raises FormatNotInstalled."""
    match compression:
        case Compression.NONE:
            return None
        case Compression.GZIP:
            return zlib.compressobj(6, zlib.DEFLATED, 31)
        case Compression.ZSTD:
            try:
                # Late: an extra, and the rest works without it.
                import zstandard  # noqa: PLC0415
            except ImportError:
                raise FormatNotInstalled("This server can't write zstd.") from None
            return zstandard.ZstdCompressor(level=3).compressobj()


async def chunks(
    pieces: AsyncIterator[Piece], packer: Packer | None, threads: Threads, tally: Tally, budget: Budget
) -> AsyncGenerator[bytes]:
    """The file in chunks that are worth a write; the first one goes out with the first rows: by then the
    source has been read from, so what fails at once has failed.

    Raises ExportTooLarge when it grows over the budget.
    """
    waiting = bytearray()
    is_first = True
    source: Any = pieces
    async with aclosing(source):
        async for piece in source:
            tally.rows += piece.rows
            if budget.rows is not None and tally.rows > budget.rows:
                raise ExportTooLarge
            data = piece.data if packer is None else await threads.run(packer.compress, piece.data)
            if waiting or len(data) < LEAST:
                waiting += data
                data = waiting
            if len(data) >= LEAST or (is_first and data and tally.rows):
                is_first = False
                for chunk in _cut(data):
                    yield _counted(chunk, tally, budget)
                waiting = bytearray()
    if packer is not None:
        waiting += await threads.run(packer.flush)
    for chunk in _cut(waiting):
        yield _counted(chunk, tally, budget)


def _cut(data: bytes | bytearray | memoryview) -> Iterator[bytes]:
    # One by one: memory that one chunk has given back is there for the next one, and need not be got from the system.
    with memoryview(data) as view:
        for start in range(0, len(data), MOST):
            yield bytes(view[start : start + MOST])


def _counted(chunk: bytes, tally: Tally, budget: Budget) -> bytes:
    tally.bytes += len(chunk)
    if budget.bytes is not None and tally.bytes > budget.bytes:
        raise ExportTooLarge
    return chunk
