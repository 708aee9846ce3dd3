"""The log of events: the same promises in memory and in Valkey."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from powerstrip import Clock, Event, LogPosition, Retention, SystemClock, create_app
from powerstrip.testing import FakeClock
from powerstrip_realtime.memory_log import MemoryEventLog
from powerstrip_realtime.settings import HistorySettings

PATIENCE = 20.0


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.01)


class Listener:
    """Notes what a log tells."""

    def __init__(self):
        self.entries = []
        self.gaps = 0

    async def on_entry(self, entry):
        self.entries.append(entry)

    async def on_gap(self):
        self.gaps += 1

    @property
    def data(self):
        return [entry.event.data for entry in self.entries]

    async def until(self, condition):
        await until(lambda: condition(self))


@pytest.fixture
def open_log(request, powerstrip_config):
    """Opens logs; those in Valkey share it. `open_log(size=2)` keeps two events of each topic."""
    kind = request.param
    if kind == "valkey":
        url = request.getfixturevalue("redis_url")

    @asynccontextmanager
    async def opened(size=10, topics=100, clock: Clock | None = None, patience=5, **settings):
        if kind == "memory":
            log = MemoryEventLog(HistorySettings(topics=topics), clock or SystemClock())
            with log.retain(lambda topic: Retention(size, 600) if topic.startswith("t") else None):
                yield log
            return
        from powerstrip_redis.event_log import RedisEventLog  # noqa: PLC0415 - not every test has it

        section = {"url": url, "events": {"topics": topics, **settings}, "timeout": patience, "connect_timeout": 5}
        app = create_app(powerstrip_config({"redis": section}), environ={})
        async with app.router.lifespan_context(app):
            log = app.state.powerstrip.index.services[RedisEventLog]
            with log.retain(lambda topic: Retention(size, 600) if topic.startswith("t") else None):
                await until(lambda: log.position.epoch)
                yield log

    return opened


both = pytest.mark.parametrize("open_log", ["memory", "valkey"], indirect=True)
shared = pytest.mark.parametrize("open_log", ["valkey"], indirect=True)


@both
async def test_what_is_appended_is_told_in_order_with_growing_positions(open_log):
    listener = Listener()
    async with open_log() as log:
        with log.follow(listener):
            for number in range(50):
                await log.append(Event("t", "news", number))
            await listener.until(lambda told: len(told.entries) == 50)

        offsets = [entry.position.offset for entry in listener.entries]
        assert listener.data == list(range(50))
        assert offsets == sorted(set(offsets))
        assert log.position == listener.entries[-1].position
        assert listener.gaps == 0


@both
async def test_an_event_arrives_as_it_was_sent(open_log):
    listener = Listener()
    event = Event("t:ä", "news.new", {"text": "snowman \N{SNOWMAN}", "none": None, "list": [1, 2.5, True]})
    async with open_log() as log:
        with log.follow(listener):
            await log.append(event)
            await listener.until(lambda told: told.entries)

    assert listener.entries[0].event == event
    assert listener.entries[0].is_local


@both
async def test_two_events_with_one_id_are_one(open_log):
    listener = Listener()
    event = Event("t", "news", 1)
    async with open_log() as log:
        with log.follow(listener):
            await log.append(event)
            await log.append(event)
            await log.append(Event("t", "news", 2))
            await listener.until(lambda told: len(told.entries) >= 2)

    assert listener.data == [1, 2]


@both
async def test_data_that_is_no_json_is_refused(open_log):
    async with open_log() as log:
        with pytest.raises(TypeError):
            await log.append(Event("t", "news", object()))


async def told(log, topic, number):
    """Append an event; gives its position."""
    listener = Listener()
    with log.follow(listener):
        await log.append(Event(topic, "news", number))
        await listener.until(lambda heard: heard.entries)
    return listener.entries[0].position


@both
async def test_the_history_after_a_position_is_what_was_missed(open_log):
    async with open_log() as log:
        start = await told(log, "t", 0)
        await told(log, "t2", "another topic")
        for number in (1, 2, 3):
            last = await told(log, "t", number)

        replay = await log.since("t", start)
        assert replay.is_complete
        assert [entry.event.data for entry in replay.entries] == [1, 2, 3]
        assert replay.entries[-1].position == last
        after_all = await log.since("t", last)
        assert (list(after_all.entries), after_all.is_complete) == ([], True)


@both
async def test_history_that_does_not_reach_back_is_not_complete(open_log):
    async with open_log(size=2) as log:
        positions = [await told(log, "t", number) for number in range(4)]

        assert [(await log.since("t", position)).is_complete for position in positions] == [False, True, True, True]


@both
async def test_no_history_means_only_the_newest_position_is_complete(open_log):
    async with open_log(size=0) as log:
        first, last = await told(log, "t", 1), await told(log, "t", 2)

        assert not (await log.since("t", first)).is_complete
        assert (await log.since("t", last)).is_complete


@both
async def test_a_topic_where_nothing_happened_is_complete(open_log):
    async with open_log() as log:
        position = await told(log, "t", 1)

        assert (await log.since("t-quiet", position)).is_complete


@both
async def test_the_quietest_topics_are_forgotten_first_and_are_then_not_complete(open_log):
    async with open_log(topics=2) as log:
        before = log.position
        first = await told(log, "t1", 1)
        await told(log, "t2", 2)
        await told(log, "t3", 3)

        assert not (await log.since("t1", before)).is_complete
        assert (await log.since("t1", first)).is_complete  # nothing came after it
        assert (await log.since("t3", first)).is_complete


@both
async def test_positions_of_another_epoch_and_of_the_future_are_not_complete(open_log):
    async with open_log() as log:
        position = await told(log, "t", 1)

        assert not (await log.since("t", LogPosition("other", position.offset))).is_complete
        assert not (await log.since("t", LogPosition(position.epoch, position.offset + 1_000))).is_complete


@both
async def test_a_key_is_claimed_once(open_log):
    async with open_log() as log:
        claims = await asyncio.gather(*(log.claim("key", 60) for _ in range(20)))

        assert sum(claims) == 1
        assert await log.claim("another", 60)


async def test_memory_forgets_what_is_old():
    clock = FakeClock()
    log = MemoryEventLog(HistorySettings(seconds=60), clock)
    with log.retain(lambda _topic: Retention(10, 60)):
        before = log.position
        await log.append(Event("t", "news", 1))
        clock.advance(59)
        assert (await log.since("t", before)).is_complete
        clock.advance(2)
        assert not (await log.since("t", before)).is_complete


async def test_memory_is_bounded_in_bytes():
    log = MemoryEventLog(HistorySettings(memory=1_000_000), SystemClock())
    with log.retain(lambda _topic: Retention(100_000, 60)):
        for number in range(2_000):
            await log.append(Event(f"t{number % 7}", "news", "x" * 1_000))

        assert 500_000 < log.memory <= 1_000_000


@shared
async def test_processes_that_share_a_log_have_one_order(open_log):
    here, there = Listener(), Listener()
    async with open_log() as one, open_log() as other:
        with one.follow(here), other.follow(there):
            await asyncio.gather(
                *(log.append(Event("t", "news", number)) for number in range(50) for log in (one, other))
            )
            await here.until(lambda told: len(told.entries) == 100)
            await there.until(lambda told: len(told.entries) == 100)

    assert [entry.position for entry in here.entries] == [entry.position for entry in there.entries]
    assert sum(entry.is_local for entry in here.entries) == sum(entry.is_local for entry in there.entries) == 50
    assert here.gaps == there.gaps == 0


@shared
async def test_what_is_published_while_the_server_is_away_comes_when_it_is_back(open_log, valkey):
    listener = Listener()
    async with open_log() as log:
        with log.follow(listener):
            await log.append(Event("t", "news", "before"))
            await listener.until(lambda told: told.entries)
            valkey.freeze()
            appending = [asyncio.create_task(log.append(Event("t", "news", number))) for number in range(3)]
            await asyncio.sleep(0.05)
            valkey.resume()
            await asyncio.gather(*appending)
            await listener.until(lambda told: len(told.entries) == 4)

            assert sorted(listener.data[1:]) == [0, 1, 2]
            assert listener.gaps == 0


@shared
async def test_a_server_that_has_lost_its_memory_is_a_gap(open_log, valkey):
    listener = Listener()
    async with open_log() as log:
        with log.follow(listener):
            position = await told(log, "t", 1)
            valkey.stop()
            await log.append(Event("t", "news", "waits"))
            valkey.start()
            await listener.until(lambda heard: "waits" in heard.data)

            assert listener.gaps == 1
            assert log.position.epoch != position.epoch
            assert not (await log.since("t", position)).is_complete


@shared
async def test_a_history_that_the_server_refuses_to_tell_is_not_complete(open_log, valkey):
    async with open_log() as log:
        await told(log, "t", 1)
        valkey.command("SET", "powerstrip:{events}:topics", "something else")

        assert not (await log.since("t", log.position)).is_complete


@shared
async def test_a_server_that_was_emptied_is_a_gap(open_log, valkey):
    listener = Listener()
    async with open_log() as log:
        with log.follow(listener):
            await told(log, "t", 1)
            valkey.command("FLUSHALL")
            await log.append(Event("t", "news", 2))
            await listener.until(lambda heard: 2 in heard.data)

            assert listener.gaps == 1


@shared
async def test_too_many_events_that_wait_are_a_gap_and_not_silence(open_log, valkey):
    listener = Listener()
    async with open_log(pending=5) as log:
        with log.follow(listener):
            await told(log, "t", 0)
            valkey.stop()
            for number in range(8):
                await log.append(Event("t", "news", number))
            valkey.start()
            await listener.until(lambda heard: 7 in heard.data)

            assert listener.data[-5:] == [3, 4, 5, 6, 7]
            assert listener.gaps >= 1


@shared
async def test_too_many_events_that_come_while_the_first_is_on_its_way_are_a_gap_too(open_log, valkey):
    listener = Listener()
    async with open_log(pending=2, patience=0.5) as log:
        with log.follow(listener):
            await told(log, "t", "before")
            valkey.command("CLIENT", "PAUSE", "60000", "WRITE")
            await log.append(Event("t", "news", "first"))
            await until(lambda: log.waiting)
            for number in range(4):
                await log.append(Event("t", "news", number))
            valkey.command("CLIENT", "UNPAUSE")
            await listener.until(lambda heard: 3 in heard.data)

            assert listener.gaps >= 1
            assert {2, 3} <= set(listener.data)


@shared
async def test_a_reader_that_the_feed_has_overtaken_notices(open_log, valkey):
    listener = Listener()
    async with open_log() as log:
        with log.follow(listener):
            await told(log, "t", 0)
            # What another process would do, and trim before this one has read it.
            meta, feed = "powerstrip:{events}:meta", "powerstrip:{events}:feed"
            valkey.command("HINCRBY", meta, "offset", "5")
            await log.append(Event("t", "news", "after"))
            await listener.until(lambda heard: "after" in heard.data)

            assert listener.gaps == 1
            assert valkey.command("XLEN", feed).startswith(b":")
