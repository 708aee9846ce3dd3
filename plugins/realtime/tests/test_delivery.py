"""Events reach those who listen, on both transports, in the same form."""

import pytest

from powerstrip.testing import signed_in


@pytest.fixture(params=["socket", "stream"])
def connect(request, api):
    """Opens a connection of each kind."""
    return getattr(api, request.param)


async def test_an_event_for_a_user_reaches_the_user_only(api, connect):
    async with connect(api.ann) as ann, connect(api.bob) as bob:
        await api.publish("user:ann", {"n": 1})
        await api.publish("broadcast", {"n": 2})

        assert await ann.events(2) == [{"n": 1}, {"n": 2}]
        assert await bob.events(1) == [{"n": 2}]


async def test_an_event_for_a_role_reaches_those_who_have_it(api, connect):
    async with connect(api.ann) as ann, connect(api.root) as root:
        await api.publish("role:admin", "for admins")
        await api.publish("broadcast", "for all")

        assert await root.events(1) == ["for admins"]
        assert await ann.events(1) == ["for all"]


async def test_a_message_says_what_when_and_where(api, connect):
    async with connect(api.ann) as ann:
        await api.publish("user:ann", {"where": "Rome"}, "order.moved")
        message = await ann.next()

        assert list(message) == ["id", "type", "topic", "time", "data"]
        assert (message["type"], message["topic"], message["data"]) == ("order.moved", "user:ann", {"where": "Rome"})
        assert message["time"].endswith("Z")


async def test_ids_are_the_same_on_both_transports(api):
    async with api.socket(api.ann) as socket, api.stream(api.ann) as stream:
        await api.publish("user:ann")

        assert (await socket.next())["id"] == (await stream.next())["id"] == stream.fields["id"]


async def test_ping_is_answered_pong(api):
    async with api.socket(api.ann) as ann:
        await ann.say("ping")

        assert await ann.text() == "pong"


async def test_what_no_client_can_listen_to_reaches_nobody(api):
    async with api.socket(api.root) as root:
        await api.publish("internal.thing", "secret")

        assert await root.is_silent()


async def test_head_tells_of_a_stream_without_opening_one(start):
    async with start(limits={"connections": 1}) as api:
        heads = [await api.http.head("/api/v1/events/stream", headers=signed_in(api.ann)) for _ in range(2)]
        async with api.stream(api.ann):
            pass

    assert [(head.status_code, head.content) for head in heads] == [(200, b"")] * 2
    assert heads[0].headers["Content-Type"] == "text/event-stream; charset=utf-8"
