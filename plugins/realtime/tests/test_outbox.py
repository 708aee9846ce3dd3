"""An event published in a transaction leaves with its commit: not before it, not without it, and not never."""

import pytest
from sqlalchemy import text

from powerstrip import Event, EventOutbox
from powerstrip_database import Database


@pytest.fixture
async def api(start, database_url):
    async with start(plugins={"database": {"url": database_url}}) as running:
        yield running


async def test_it_leaves_after_the_commit(api):
    async with api.socket(api.ann) as ann:
        async with api.services[Database].transaction() as session:
            api.services[EventOutbox].add(session, Event("user:ann", "news", 1))
            await session.flush()
            assert await ann.is_silent()

        assert await ann.events(1) == [1]


async def test_it_does_not_leave_when_the_transaction_is_rolled_back(api):
    async with api.socket(api.ann) as ann:
        async with api.services[Database].transaction() as session:
            api.services[EventOutbox].add(session, Event("user:ann", "news", "never"))
            await session.flush()
            await session.rollback()
        async with api.services[Database].transaction() as session:
            api.services[EventOutbox].add(session, Event("user:ann", "news", "later"))

        assert await ann.events(1) == ["later"]


async def test_events_of_one_transaction_keep_their_order_and_leave_nothing_behind(api):
    async with api.socket(api.ann) as ann:
        async with api.services[Database].transaction() as session:
            for number in range(10):
                api.services[EventOutbox].add(session, Event("user:ann", "news", number))

        assert await ann.events(10) == list(range(10))
    async with api.services[Database].transaction() as session:
        left = "SELECT count(*) FROM realtime_outbox"
        for _ in range(1_000):
            if not await session.scalar(text(left)):
                break
        assert await session.scalar(text(left)) in (0, 10)


async def test_what_a_process_has_left_behind_is_published_by_the_next(start, database_url):
    async with (
        start(plugins={"database": {"url": database_url}}) as api,
        api.services[Database].transaction() as session,
    ):
        insert = "INSERT INTO realtime_outbox (event_id, topic, type, data, time, leased_until) VALUES "
        values = "('e1', 'user:ann', 'news', '\"left behind\"', '2026-01-01 00:00:00+00:00', NULL)"
        await session.execute(text(insert + values))
    async with start(plugins={"database": {"url": database_url}}) as api, api.socket(api.ann) as ann:
        since = ann.hello["id"].partition(":")[0]
        answer = await ann.ask(type="resume", since=f"{since}:0")

        # Published before the client came, or after it.
        data = await ann.events(1)
        assert answer["data"]["replayed"] <= 1
        assert data == ["left behind"]


async def test_an_event_that_is_no_json_is_refused_before_anything_is_stored(api):
    async with api.services[Database].transaction() as session:
        with pytest.raises(TypeError):
            api.services[EventOutbox].add(session, Event("user:ann", "news", object()))
