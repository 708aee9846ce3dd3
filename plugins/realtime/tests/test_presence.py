"""Who follows a topic is told who comes and goes, in whichever process."""

import pytest

from powerstrip import EventBus


async def follow(client, topic="room:tea"):
    assert (await client.ask(type="subscribe", topic=topic))["ok"] is True
    return (await client.ask(type="presence", topic=topic, follow=True))["data"]


async def test_who_comes_and_goes_is_told_to_those_who_follow(api):
    async with api.socket(api.ann) as ann:
        assert (await follow(ann))["count"] == 1
        async with api.socket(api.bob, "/ws?topics=room:tea"):
            joined = await ann.until("presence")
        left = await ann.until("presence")

        bob = {"id": "bob", "name": "Bob"}
        assert (joined["topic"], joined["data"]) == ("room:tea", {"count": 2, "joined": [bob], "left": []})
        assert left["data"] == {"count": 1, "joined": [], "left": [bob]}
        assert joined["id"] is None


async def test_a_second_connection_of_somebody_is_no_news(api):
    async with api.socket(api.ann) as ann, api.socket(api.bob, "/ws?topics=room:tea") as bob:
        assert (await follow(ann))["count"] == 2
        async with api.socket(api.bob, "/ws?topics=room:tea"):
            pass
        await bob.ask(type="unsubscribe", topic="room:tea")

        assert (await ann.next())["data"] == {"count": 1, "joined": [], "left": [{"id": "bob", "name": "Bob"}]}


@pytest.mark.parametrize(
    "command",
    [{"type": "presence", "topic": "room:tea", "follow": False}, {"type": "unsubscribe", "topic": "room:tea"}],
    ids=["told so", "unsubscribed"],
)
async def test_who_no_longer_follows_is_told_nothing(api, command):
    async with api.socket(api.ann) as ann, api.socket(api.root) as root:
        await follow(ann)
        await follow(root)
        await ann.until("presence")
        await ann.ask(**command)
        async with api.socket(api.bob, "/ws?topics=room:tea"):
            while (await root.until("presence"))["data"]["joined"] != [{"id": "bob", "name": "Bob"}]:
                pass

            assert await ann.is_silent()


async def test_what_others_do_in_another_process_is_told_here(start_two):
    async with start_two() as (one, other), one.socket(one.ann) as ann:
        await follow(ann)
        async with other.socket(other.bob, "/ws?topics=room:tea"):
            assert (await ann.until("presence"))["data"]["joined"] == [{"id": "bob", "name": "Bob"}]
        assert (await ann.until("presence"))["data"]["left"] == [{"id": "bob", "name": "Bob"}]


async def test_a_round_of_many_topics_comes_in_parts_and_nobody_seems_to_leave(start_two, monkeypatch):
    monkeypatch.setattr("powerstrip_realtime.presence._MOST_TOLD", 2)
    rooms = [f"room:{name}" for name in ("a", "b", "c", "d", "e")]
    rounds = []

    async def note(event):
        if event.data.get("until") == "" and event.data["topics"]:
            rounds.append(event)

    async with start_two(presence_interval=0.05) as (one, other), one.socket(one.ann) as ann:
        for room in rooms:
            await follow(ann, room)
        async with other.socket(other.bob, f"/ws?topics={','.join(rooms)}"):
            joined = [await ann.until("presence") for _ in rooms]
            with one.services[EventBus].subscribe("realtime.presence", note):
                await one.until(lambda: len(rounds) >= 3)
            assert await ann.is_silent()
        left = [await ann.until("presence") for _ in rooms]

    bob = [{"id": "bob", "name": "Bob"}]
    assert sorted(message["topic"] for message in joined) == rooms
    assert [message["data"]["left"] for message in left] == [bob] * 5
    assert {event.data["after"] for event in rounds} == {"room:d"}


async def test_who_was_in_a_process_that_has_died_leaves_with_it(start, fake_clock):
    async with start(clock=fake_clock, presence_interval=0.05) as api, api.socket(api.ann) as ann:
        await follow(ann)
        told = {"process": "another", "topics": {"room:tea": {"zoe": "Zoe"}}, "after": "", "until": ""}
        await api.publish("realtime.presence", told, "realtime.presence")
        assert (await ann.until("presence"))["data"]["joined"] == [{"id": "zoe", "name": "Zoe"}]

        fake_clock.advance(31)

        assert (await ann.until("presence"))["data"]["left"] == [{"id": "zoe", "name": "Zoe"}]
