"""What clients can ask for over a WebSocket, and what happens to those who ask nonsense."""

import json

import pytest

from powerstrip.testing import signed_in


async def test_a_topic_of_a_plugin_can_be_subscribed_to_by_those_whom_its_rule_lets(api):
    async with api.socket(api.ann) as ann:
        answer = await ann.ask(type="subscribe", topic="orders:ann-7")
        await api.publish("orders:ann-7", {"where": "Rome"}, "order.moved")

        assert answer["ok"] is True
        assert (await ann.next())["data"] == {"where": "Rome"}


async def test_topics_can_be_asked_for_in_the_address(api):
    async with api.socket(api.ann, "/ws?topics=orders:ann-7,room:tea") as ann:
        assert ann.hello["data"]["topics"] == ["user:ann", "role:user", "broadcast", "orders:ann-7", "room:tea"]


@pytest.mark.parametrize("topic", ["user:bob", "role:admin", "orders:bob-1"])
async def test_the_topics_of_others_stay_closed(api, topic):
    async with api.socket(api.ann) as ann:
        answer = await ann.ask(type="subscribe", topic=topic)
        await api.publish(topic, "secret")

        assert answer["error"]["type"] == "TopicForbidden"
        assert await ann.is_silent()


@pytest.mark.parametrize("topic", ["user:bob", "role:admin", "orders:bob-1"])
async def test_a_stream_of_the_topics_of_others_is_refused(api, topic):
    url = f"/api/v1/events/stream?topics={topic}"
    answer = await api.http.get(url, headers=signed_in(api.ann))

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "TopicForbidden")


@pytest.mark.parametrize("topic", ["nowhere", "orders", "orders:", "user", "broadcast:x", ":", "users.*", "*"])
async def test_what_is_no_topic_is_unknown(api, topic):
    async with api.socket(api.root) as root:
        assert (await root.ask(type="subscribe", topic=topic))["error"]["type"] == "UnknownTopic"


async def test_after_unsubscribing_nothing_more_comes(api):
    async with api.socket(api.ann) as ann:
        await ann.ask(type="subscribe", topic="room:tea")
        await ann.ask(type="unsubscribe", topic="room:tea")
        await api.publish("room:tea", 1)

        assert await ann.is_silent()


async def test_subscribing_twice_is_the_same_as_once(api):
    async with api.socket(api.ann) as ann:
        await ann.ask(type="subscribe", topic="room:tea")
        await ann.ask(type="subscribe", topic="room:tea")
        await api.publish("room:tea", 1)

        assert await ann.events(1) == [1]
        assert await ann.is_silent()


async def test_a_connection_has_so_many_topics(start):
    async with start(limits={"topics": 4}) as api, api.socket(api.ann) as ann:
        assert (await ann.ask(type="subscribe", topic="room:1"))["ok"] is True
        assert (await ann.ask(type="subscribe", topic="room:2"))["error"]["type"] == "TooManyTopics"


async def test_presence_tells_who_is_there(api):
    async with api.socket(api.ann) as ann, api.socket(api.bob) as bob:
        await ann.ask(type="subscribe", topic="room:tea")
        await bob.ask(type="subscribe", topic="room:tea")
        answer = await ann.ask(type="presence", topic="room:tea")

        members = [{"id": "ann", "name": "Ann"}, {"id": "bob", "name": "Bob"}]
        assert answer["data"] == {"topic": "room:tea", "count": 2, "members": members}


@pytest.mark.parametrize("topic", ["room:tea", "broadcast"])
async def test_presence_is_for_subscribers_and_only_where_it_is_on(api, topic):
    async with api.socket(api.ann) as ann:
        assert (await ann.ask(type="presence", topic=topic))["error"]["type"] == "TopicForbidden"


async def test_answers_name_the_command_they_are_for(api):
    async with api.socket() as client:
        assert (await client.ask(type="ping", id="abc"))["reply_to"] == "abc"
        assert (await client.ask(type="ping", id=7))["reply_to"] == 7


NONSENSE = [
    "",
    "{",
    "[]",
    "null",
    '"ping"',
    "PING",
    '{"type": "fly"}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "topic": 7}',
    '{"type": "ping", "extra": 1}',
    '{"type": "subscribe", "topic": "' + "x" * 300 + '"}',
    "[" * 5_000,
    '{"type": "resume", "since": "yesterday"}',
    "\x00",
]


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense_is_answered_with_what_is_wrong(api, text):
    async with api.socket() as client:
        await client.say(text)
        answer = await client.next()

        assert (answer["type"], answer["ok"]) == ("reply", False)
        assert answer["error"]["type"] in ("InvalidMessage", "InvalidPosition")
        await client.say("ping")
        assert await client.text() == "pong"


async def test_an_error_names_the_command_where_it_can(api):
    async with api.socket() as client:
        await client.say(json.dumps({"type": "fly", "id": 42}))

        assert (await client.next())["reply_to"] == 42


async def test_errors_never_repeat_what_was_sent(api):
    async with api.socket() as client:
        await client.say(json.dumps({"type": "authenticate", "token": ["hunter2"]}))

        assert "hunter2" not in await client.text()


async def test_who_goes_on_sending_nonsense_has_to_go(start):
    async with start(limits={"errors": 3}) as api, api.socket() as client:
        for _ in range(3):
            await client.say("{")

        assert (await client.closed()).code == 4508


async def test_binary_messages_are_refused(api):
    async with api.socket() as client:
        await client.connection.send(b"\x00\x01")

        assert (await client.closed()).code == 1003


async def test_a_message_that_is_too_large_is_refused(api):
    async with api.socket() as client:
        await client.say("x" * 65_537)

        assert (await client.closed()).code == 1009


async def test_a_message_in_many_bytes_of_few_characters_is_too_large_too(api):
    async with api.socket() as client:
        await client.say("\N{GRINNING FACE}" * 20_000)

        assert (await client.closed()).code == 1009
