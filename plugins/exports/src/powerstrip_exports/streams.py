"""Exports that go straight to their client."""

from collections.abc import AsyncIterator

from powerstrip import Clock
from powerstrip_exports.audit import Asker, Audit, facts_of
from powerstrip_exports.domain import Compression, Piece, Tally, ending, media_type
from powerstrip_exports.encoders import check_format
from powerstrip_exports.errors import ExportsBusy, ExportTooLarge, TooManyStreams
from powerstrip_exports.names import content_disposition, file_name
from powerstrip_exports.pipeline import chunks, packer_for
from powerstrip_exports.places import Places
from powerstrip_exports.reading import Reading, Wanted
from powerstrip_exports.response import FileStream, Outcome
from powerstrip_exports.settings import Budget, ExportsSettings
from powerstrip_exports.threads import Threads


class Streams:
    """Opens streams, as many at a time as the settings allow: for all callers together, and for each."""

    def __init__(
        self, reading: Reading, threads: Threads, audit: Audit, settings: ExportsSettings, clock: Clock
    ) -> None:
        self._reading = reading
        self._threads = threads
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._places = Places(TooManyStreams)

    async def open(self, wanted: Wanted, compression: Compression, budget: Budget, asker: Asker) -> FileStream:
        """Begin an export: its first bytes are there when this returns, so what fails at once is an error answer.

        Raises FormatNotInstalled, ExportTooLarge, ExportsBusy, TooManyStreams and what the source raises.
        """
        check_format(wanted.format)
        packer = packer_for(compression)
        self._places.take(asker.caller, budget.streams)
        try:
            self._check_room()
            await self._check_size(wanted, budget)
            facts = facts_of(wanted, compression)
            await self._audit.note("export.started", asker, facts)
            tally = Tally()
            body = chunks(self._pieces(wanted), packer, self._threads, tally, budget)
            try:
                first = await anext(body, b"")
            except BaseException:
                await body.aclose()
                raise
        except BaseException:
            self._places.leave(asker.caller)
            raise

        async def on_end(outcome: Outcome) -> None:
            self._places.leave(asker.caller)
            counted = {"rows": tally.rows, "bytes": tally.bytes, "outcome": outcome}
            await self._audit.note("export.ended", asker, {**facts, **counted})

        return FileStream(
            first,
            body,
            headers=self.headers(wanted, compression),
            media_type=media_type(wanted.format, compression),
            timeout=self._settings.stream_timeout,
            on_end=on_end,
        )

    def _check_room(self) -> None:
        if self._places.taken > self._settings.streams:
            raise ExportsBusy

    def headers(self, wanted: Wanted, compression: Compression) -> dict[str, str]:
        """The headers of the file's answer."""
        name = file_name(wanted.title, self._clock.now(), ending(wanted.format, compression))
        return {
            "Content-Disposition": content_disposition(name),
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
        }

    async def _check_size(self, wanted: Wanted, budget: Budget) -> None:
        if budget.rows is None:
            return
        rows = await self._reading.count(wanted)
        if rows is not None and rows > budget.rows:
            raise ExportTooLarge(details=[{"rows": rows, "allowed": budget.rows}])

    def _pieces(self, wanted: Wanted) -> AsyncIterator[Piece]:
        return self._reading.pieces(wanted)
