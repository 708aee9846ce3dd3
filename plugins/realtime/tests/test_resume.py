"""Who comes back with the last id it saw misses nothing, or is told."""

import asyncio

import pytest

from powerstrip.testing import signed_in


@pytest.fixture(params=["socket", "stream"])
def come_back(request):
    """Opens a connection that resumes from a position, by whatever way its transport has."""

    def open_again(api, since, identity=None):
        identity = identity or api.ann
        if request.param == "socket":
            return api.socket(identity, f"/ws?since={since}")
        return api.stream(identity, headers={"Last-Event-ID": since})

    return open_again


async def last_id(api):
    """The position of a client that has seen one event."""
    async with api.socket() as client:
        await api.publish("user:ann", "seen")
        return (await client.next())["id"]


async def test_exactly_what_was_missed_comes_in_order(api, come_back):
    since = await last_id(api)
    await api.publish("user:ann", 1)
    await api.publish("user:bob", "not for ann")
    await api.publish("broadcast", 2)
    await api.publish("role:user", 3)

    async with come_back(api, since) as client:
        assert (client.hello["data"]["recovered"], client.hello["data"]["replayed"]) == (True, 3)
        assert await client.events(3) == [1, 2, 3]
        await api.publish("user:ann", 4)
        assert await client.events(1) == [4]


async def test_nothing_missed_is_recovered_too(api, come_back):
    since = await last_id(api)

    async with come_back(api, since) as client:
        assert client.hello["data"]["recovered"] is True
        assert client.hello["id"] == since


async def test_a_new_connection_is_told_where_it_is_and_can_resume_from_there(api, come_back):
    async with api.socket() as client:
        since = client.hello["id"]
        assert client.hello["data"]["recovered"] is None
    await api.publish("user:ann", 1)

    async with come_back(api, since) as client:
        assert await client.events(1) == [1]


async def test_a_position_that_the_history_does_not_reach_is_not_recovered(start, come_back):
    async with start(history={"size": 2}) as api:
        since = await last_id(api)
        for number in range(3):
            await api.publish("user:ann", number)

        async with come_back(api, since) as client:
            assert client.hello["data"]["recovered"] is False
            assert client.hello["data"]["replayed"] == 0
            await api.publish("user:ann", "new")
            assert await client.events(1) == ["new"]


async def test_as_many_as_the_history_keeps_are_recovered(start, come_back):
    async with start(history={"size": 2}) as api:
        since = await last_id(api)
        for number in range(2):
            await api.publish("user:ann", number)

        async with come_back(api, since) as client:
            assert client.hello["data"]["recovered"] is True
            assert await client.events(2) == [0, 1]


async def test_a_position_of_a_server_that_was_restarted_is_not_recovered(start, come_back):
    async with start() as api:
        since = await last_id(api)
    async with start() as api, come_back(api, since) as client:
        assert client.hello["data"]["recovered"] is False


async def test_a_position_from_the_future_is_not_recovered(api, come_back):
    epoch = (await last_id(api)).partition(":")[0]

    async with come_back(api, f"{epoch}:999999") as client:
        assert client.hello["data"]["recovered"] is False


async def test_without_history_nothing_is_recovered_that_was_missed(start, come_back):
    async with start(history={"size": 0}) as api:
        since = await last_id(api)
        await api.publish("user:ann", 1)

        async with come_back(api, since) as client:
            assert client.hello["data"]["recovered"] is False


async def test_the_header_goes_before_the_query(api):
    since = await last_id(api)
    await api.publish("user:ann", 1)
    async with api.stream(query="?since=old:1", headers={"Last-Event-ID": since}) as client:
        assert client.hello["data"]["recovered"] is True


async def test_a_position_that_is_none_is_refused(api):
    answer = await api.http.get("/api/v1/events/stream?since=yesterday", headers=signed_in(api.ann))

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "InvalidPosition")


async def test_a_topic_can_be_joined_from_a_position(api):
    async with api.socket() as client:
        await api.publish("room:tea", 1)
        since = client.hello["id"]
        await api.publish("room:tea", 2)
        answer = await client.ask(type="subscribe", topic="room:tea", since=since)

        assert answer["data"]["recovered"] is True
        assert answer["data"]["replayed"] == 2
        assert await client.events(2) == [1, 2]
        await api.publish("room:tea", 3)
        assert await client.events(1) == [3]


async def test_an_open_connection_can_ask_for_what_it_missed(api):
    since = await last_id(api)
    await api.publish("user:ann", 1)
    async with api.socket() as client:
        answer = await client.ask(type="resume", since=since)

        assert answer["data"]["recovered"] is True
        assert await client.events(1) == [1]


async def test_the_history_of_a_topic_that_is_not_ones_own_stays_closed(api):
    async with api.socket(api.bob) as client:
        since = client.hello["id"]
        await api.publish("orders:ann-7", {"where": "Rome"})
        answer = await client.ask(type="subscribe", topic="orders:ann-7", since=since)

        assert answer["error"]["type"] == "TopicForbidden"
        assert await client.is_silent()


async def test_the_same_events_are_told_once_while_one_resumes_and_others_publish(api):
    """What comes in between the look into the history and the end of it is neither lost nor told twice."""
    since = await last_id(api)
    done = asyncio.Event()

    async def publish():
        for number in range(200):
            await api.publish("user:ann", number)
            await asyncio.sleep(0)
        done.set()

    publishing = asyncio.create_task(publish())
    await asyncio.sleep(0)
    async with api.socket(path=f"/ws?since={since}") as client:
        assert await client.events(200) == list(range(200))
    await publishing
