"""The worker that sends the stored mails."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from powerstrip import Clock
from powerstrip_database import Database, DatabaseUnavailable
from powerstrip_users.letters import Letters, load_templates
from powerstrip_users.links import Links
from powerstrip_users.models import Mail
from powerstrip_users.outbox import Outbox, noticing_mails
from powerstrip_users.settings import MailSettings
from powerstrip_users.transports import Transport, TransportError, make_transport

logger = logging.getLogger(__name__)

# How long a stop waits for mails that are being sent: one that is cut off is sent again later.
_LAST_MOMENT = 5.0


class MailsLateError(Exception):
    """The oldest mail has waited for too long: nobody sends, or the server takes none."""


class Mailer:
    """Sends mails as they become due, some at once. Any number of processes may do so side by side."""

    def __init__(self, outbox: Outbox, letters: Letters, transport: Transport, settings: MailSettings) -> None:
        self._outbox = outbox
        self._letters = letters
        self._transport = transport
        self._settings = settings
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._is_failing = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Mailer"]:
        """Notice the mails that this process queues; at the end, let those go out that are being sent."""
        loop = asyncio.get_running_loop()

        def notice() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        with noticing_mails(notice):
            try:
                yield self
            finally:
                await self._finish()

    async def follow(self) -> None:
        """Send what is due again and again, for ever. A database that is away is waited for."""
        while True:
            self._wake.clear()
            for mail in await self._claim(self._settings.concurrency - len(self._sending)):
                task = asyncio.create_task(self._deliver(mail), name=f"mail {mail.id}")
                self._sending.add(task)
                task.add_done_callback(self._on_delivered)
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.poll_interval):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _claim(self, most: int) -> Sequence[Mail]:
        if most <= 0:
            return ()
        try:
            mails = await self._outbox.claim(most)
        except Exception as error:
            if _is_cancelled():
                # A driver that is interrupted may raise errors of its own instead: this one must not be waited out.
                raise asyncio.CancelledError from error
            if not self._is_failing:
                logger.exception("mails can't be read; trying again until they can")
            self._is_failing = True
            return ()
        if self._is_failing:
            logger.info("mails can be read again")
        self._is_failing = False
        return mails

    def _on_delivered(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease expires, and it is sent again.
            logger.error("what became of a mail can't be written down", exc_info=error)

    async def _deliver(self, mail: Mail) -> None:
        try:
            letter = await self._letters.write(mail)
            if letter is None:
                await self._discard(mail)
                return
            async with asyncio.timeout(self._settings.timeout):
                await self._transport.send(letter)
        except TransportError as error:
            await self._fail(mail, error.reason, for_good=error.for_good)
        except TimeoutError:
            await self._fail(mail, f"it took longer than {self._settings.timeout:g} s")
        except Exception as error:
            logger.exception("a mail can't be written", extra=_facts(mail))
            await self._fail(mail, type(error).__name__)
        else:
            await self._write_down(mail, lambda: self._outbox.mark_sent(mail))

    async def _discard(self, mail: Mail) -> None:
        logger.info("mail dropped: its account is gone, or has another address by now", extra=_facts(mail))
        await self._outbox.discard(mail)

    async def _fail(self, mail: Mail, reason: str, *, for_good: bool = False) -> None:
        # The reason stays in the outbox: servers put addresses and more into it.
        logger.warning("mail could not be sent: `powerstrip mail list` says why", extra=_facts(mail))
        await self._write_down(mail, lambda: self._outbox.mark_failed(mail, reason, for_good=for_good))

    async def _write_down(self, mail: Mail, change: Callable[[], Awaitable[None]]) -> None:
        """Wait for a database that is away while the mail is ours: whoever claims it after that sends it again."""
        while True:
            try:
                await change()
                return
            except DatabaseUnavailable:
                if not self._outbox.is_held(mail):
                    raise
            await asyncio.sleep(self._settings.poll_interval)

    async def _finish(self) -> None:
        if not self._sending:
            return
        _, late = await asyncio.wait(self._sending, timeout=_LAST_MOMENT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class MailHealth:
    """The health check `mail`: whether mails leave in time."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._watched: tuple[Outbox, Clock] | None = None

    @contextmanager
    def watching(self, outbox: Outbox, clock: Clock) -> Iterator[None]:
        """Ask this outbox until the context is left."""
        self._watched = outbox, clock
        try:
            yield
        finally:
            self._watched = None

    async def check(self) -> Mapping[str, Any]:
        """How many mails wait and were given up. Raises MailsLateError."""
        if self._watched is None:
            return {}
        outbox, clock = self._watched
        backlog = await outbox.backlog()
        age = (clock.now() - backlog.oldest).total_seconds() if backlog.oldest else 0.0
        if age > self._settings.late_after:
            raise MailsLateError(f"the oldest mail has waited for {age:.0f} s: see `powerstrip mail list`")
        return {"queued": backlog.queued, "oldest_age": round(max(age, 0.0), 1), "abandoned": backlog.abandoned}


@asynccontextmanager
async def running_mails(
    database: Database, links: Links, settings: MailSettings, clock: Clock, health: MailHealth
) -> AsyncGenerator[tuple[Outbox, Mailer]]:
    """The outbox and its worker, from start to end. Raises TemplateError and TransportError."""
    templates = await asyncio.to_thread(load_templates, settings.templates)
    transport = await asyncio.to_thread(make_transport, settings)
    outbox = Outbox(database, settings, clock)
    mailer = Mailer(outbox, Letters(database, links, templates, settings, clock), transport, settings)
    with health.watching(outbox, clock):
        async with mailer.running():
            yield outbox, mailer


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _facts(mail: Mail) -> Mapping[str, Any]:
    return {"mail": str(mail.id), "template": mail.template, "attempt": mail.attempts}
