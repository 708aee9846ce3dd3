"""When the plugin stops, everybody is asked to come back, at different times."""

import json

from powerstrip_realtime.registry import Registry


async def test_sockets_are_closed_with_1012_and_a_hint_when_to_return(api):
    async with api.socket() as one, api.socket() as other:
        await api.services[Registry].drain()
        ends = [await one.closed(), await other.closed()]

        hints = [json.loads(end.reason) for end in ends]
        assert [end.code for end in ends] == [1012, 1012]
        assert [hint["reason"] for hint in hints] == ["Restart", "Restart"]
        assert all(1_000 <= hint["retry_ms"] <= 10_000 for hint in hints)
        assert hints[0]["retry_ms"] != hints[1]["retry_ms"]


async def test_streams_end_with_a_retry_field(api):
    async with api.stream() as client:
        await api.services[Registry].drain()
        message = await client.next()

        assert message["type"] == "closing"
        assert message["data"] == {"code": 1012, "reason": "Restart", "reconnect": True}
        assert 1_000 <= int(client.fields["retry"]) <= 10_000
        await client.closed()


async def test_who_comes_while_it_drains_is_sent_away_again(api):
    await api.services[Registry].drain()
    async with api.socket(hello=False) as client:
        assert (await client.closed()).code == 1012


async def test_a_server_that_stops_says_goodbye(start):
    async with start() as api:
        connection = api.socket()
        client = await connection.__aenter__()

    assert (await client.closed()).code == 1012


async def test_a_stream_says_that_it_is_alive(start):
    async with start(heartbeat=0.1) as api, api.stream() as client:
        while not client.comments:
            await api.publish("user:ann")
            await client.next()
