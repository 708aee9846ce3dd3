"""A client that reads slowly costs a bounded amount of memory, and nobody else any time."""

import asyncio

import pytest

from powerstrip_realtime.registry import Registry

KILOBYTE = "x" * 1_000


async def outlet_of(api, user="ann"):
    (connection,) = api.services[Registry].of_user(user)
    return connection.outlet


async def fill(api, count, topic="user:ann"):
    for number in range(count):
        await api.publish(topic, {"n": number, "text": KILOBYTE})
        await asyncio.sleep(0)


async def test_one_that_reads_nothing_is_disconnected_and_can_resume(start):
    async with start(queue={"messages": 50}, history={"size": 10_000}) as api:
        async with api.socket(api.ann, slow=True) as ann, api.socket(api.bob) as bob:
            since = ann.hello["id"]
            await fill(api, 3_000, "broadcast")

            assert [entry["n"] for entry in await bob.events(3_000)] == list(range(3_000))
            assert (await ann.closed()).code in (1013, 1006)
        async with api.socket(api.ann, f"/ws?since={since}") as ann:
            assert ann.hello["data"]["recovered"] is True
            assert [entry["n"] for entry in await ann.events(3_000)] == list(range(3_000))


async def test_what_waits_for_it_is_bounded(start):
    settings = {"messages": 100, "size": 20_000, "when_full": "drop_oldest"}
    async with start(queue=settings) as api, api.socket(api.ann, slow=True):
        outlet = await outlet_of(api)
        most = 0
        for _ in range(30):
            await fill(api, 100)
            most = max(most, outlet.waiting)

        assert 0 < most <= 20


async def test_drop_oldest_tells_how_many_were_missed(start):
    async with (
        start(queue={"messages": 10, "when_full": "drop_oldest"}) as api,
        api.socket(api.ann, slow=True) as ann,
    ):
        await fill(api, 3_000)
        await api.publish("user:ann", {"n": "last"})
        seen, missed = [], 0
        while "last" not in seen:
            message = await ann.next()
            if message["type"] == "dropped":
                missed += message["data"]["count"]
            else:
                seen.append(message["data"]["n"])

        numbers = [number for number in seen if number != "last"]
        assert numbers == sorted(numbers)
        assert missed > 0
        assert len(numbers) + missed == 3_000


async def test_coalesce_keeps_the_newest_of_each_type(start):
    async with start(queue={"messages": 10, "when_full": "coalesce"}) as api, api.socket(api.ann, slow=True) as ann:
        await fill(api, 3_000)
        await api.publish("user:ann", {"n": "last"})
        seen = []
        while "last" not in seen:
            message = await ann.next()
            if message["type"] == "news":
                seen.append(message["data"]["n"])

        assert len(seen) < 3_000


async def test_one_that_takes_nothing_for_too_long_is_dropped(start):
    async with (
        start(queue={"messages": 100_000, "size": 67_108_864, "write_timeout": 0.2}) as api,
        api.socket(api.ann, slow=True) as ann,
    ):
        registry = api.services[Registry]
        await fill(api, 5_000)
        await api.until(lambda: not registry.of_user("ann"))

        assert (await ann.closed()).code in (1013, 1006)


@pytest.mark.parametrize("when_full", ["disconnect", "drop_oldest", "coalesce"])
async def test_who_keeps_up_sees_everything_whatever_the_policy(start, when_full):
    async with start(queue={"messages": 5, "when_full": when_full}) as api, api.socket(api.ann) as ann:
        for number in range(500):
            await api.publish("user:ann", number)
            assert await ann.events(1) == [number]


async def test_a_long_history_reaches_a_client_whatever_its_queue_holds(start):
    async with start(queue={"messages": 5}, history={"size": 2_000}) as api:
        async with api.socket(api.ann) as ann:
            since = ann.hello["id"]
        await fill(api, 2_000)
        async with api.socket(api.ann, f"/ws?since={since}", slow=True) as ann:
            assert [entry["n"] for entry in await ann.events(2_000)] == list(range(2_000))
