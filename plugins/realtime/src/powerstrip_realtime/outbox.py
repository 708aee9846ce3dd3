"""Events that leave with the commit of a database transaction, not before it and not without it."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, event, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from powerstrip import Clock, Event, EventBus, EventOutbox
from powerstrip_database import Database
from powerstrip_realtime.models import OutboxEvent

logger = logging.getLogger(__name__)

_LEASE = timedelta(seconds=30)  # after which another process takes what one has claimed and not published
_AT_ONCE = 100
_LOOK_INTERVAL = 2.0  # for what a process has left behind that ended before it could publish
_PAUSE_AFTER_FAILURE = 1.0


class Outbox(EventOutbox):
    """Stores events in the transaction, and publishes them when it is committed.

    The process that commits publishes at once. If it ends before it could, another one does so when its lease is over,
    or the same one when it is back. Logs know events by their ids, so one that is published twice is told once.
    """

    def __init__(self, database: Database, bus: EventBus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._committed = asyncio.Event()

    def add(self, session: AsyncSession, event: Event) -> None:
        """Publish an event if, and when, the session's transaction is committed. Raises TypeError for no JSON."""
        json.dumps(event.data)
        stored = OutboxEvent(event_id=event.id, topic=event.topic, type=event.type, data=event.data, time=event.time)
        session.add(stored)
        _after_commit(session, self._notice)

    def _notice(self) -> None:
        # The commit runs in a greenlet of this thread, or in another thread where somebody uses the engine itself.
        self._loop.call_soon_threadsafe(self._committed.set)

    async def follow(self) -> None:
        """Publish what is committed, for ever."""
        failing = False
        while True:
            try:
                while await self.publish_due():
                    pass
            except Exception:
                if not failing:
                    logger.exception("the outbox can't be read; trying again until it can")
                failing = True
                await asyncio.sleep(_PAUSE_AFTER_FAILURE)
            else:
                failing = False
            await self._wait()

    async def publish_due(self) -> int:
        """Publish what is due; returns how many events that were."""
        claimed = await self._claim()
        for stored in claimed:
            await self._bus.publish(Event(stored.topic, stored.type, stored.data, id=stored.event_id, time=stored.time))
        if claimed:
            ids = [stored.id for stored in claimed]

            async def forget(session: AsyncSession) -> None:
                await session.execute(delete(OutboxEvent).where(OutboxEvent.id.in_(ids)))

            await self._database.retrying(forget)
        return len(claimed)

    async def _claim(self) -> Sequence[OutboxEvent]:
        now = self._clock.now()
        due = or_(OutboxEvent.leased_until.is_(None), OutboxEvent.leased_until <= now)
        async with self._database.reading() as session:
            # Looking costs nothing; where one transaction writes at a time, claiming nothing would.
            if (await session.execute(select(OutboxEvent.id).where(due).limit(1))).first() is None:
                return []

        async def work(session: AsyncSession) -> Sequence[OutboxEvent]:
            oldest_first = select(OutboxEvent).where(due).order_by(OutboxEvent.id).limit(_AT_ONCE)
            found = (await session.scalars(oldest_first.with_for_update(skip_locked=True))).all()
            ids = [stored.id for stored in found]
            await session.execute(
                update(OutboxEvent)
                .where(OutboxEvent.id.in_(ids))
                .values(leased_until=now + _LEASE)
                .execution_options(synchronize_session=False)
            )
            return found

        return await self._database.retrying(work)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_INTERVAL):
                await self._committed.wait()
        except TimeoutError:
            return
        self._committed.clear()


def _after_commit(session: AsyncSession, notice: Any) -> None:
    event.listen(session.sync_session, "after_commit", lambda _session: notice(), once=True)
