"""How much one user and one address may have; what is over that is refused, and said once."""

import asyncio
import logging

import pytest
import websockets

from powerstrip.testing import signed_in
from powerstrip_realtime.registry import Registry


async def status_of(api, identity, **options):
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with api.socket(identity, **options):
            pass
    return refusal.value.response.status_code


async def test_a_user_has_so_many_connections(start):
    async with start(limits={"connections_per_user": 2}) as api:
        async with api.socket(api.ann), api.stream(api.ann):
            assert await status_of(api, api.ann) == 429
            async with api.socket(api.bob):
                pass
            answer = await api.http.get("/api/v1/events/stream", headers=signed_in(api.ann))
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
        await api.until(lambda: not api.services[Registry].of_user("ann"))
        async with api.socket(api.ann):
            pass


async def test_an_address_has_so_many_connections_whoever_they_are_of(start):
    async with start(limits={"connections_per_address": 2}) as api, api.socket(api.ann), api.socket(api.bob):
        assert await status_of(api, api.root) == 429


async def test_an_address_has_so_many_that_have_not_signed_in(start):
    async with start(limits={"unidentified_per_address": 1}) as api:
        options = {"hello": False, "subprotocols": ["powerstrip.v1"]}
        async with api.socket(None, **options):
            assert await status_of(api, None, **options) == 429
            async with api.socket(api.ann):
                pass


async def test_a_flood_from_one_address_is_refused_and_logged_once(start, caplog):
    async with start(limits={"connections_per_address": 3, "connections_per_user": 1_000}) as api:
        before = len(asyncio.all_tasks())
        async with api.socket(), api.socket(), api.socket():
            with caplog.at_level(logging.WARNING, "powerstrip_realtime"):
                for _ in range(50):
                    assert await status_of(api, api.ann) == 429
            assert len(api.services[Registry]) == 3
        refusals = [record for record in caplog.records if "too many" in record.getMessage()]
        assert 1 <= len(refusals) <= 10
        await api.until(lambda: not len(api.services[Registry]) and len(asyncio.all_tasks()) <= before)


async def test_connections_that_come_and_go_leave_nothing_behind(api):
    async def visit():
        async with api.socket(api.ann, "/ws?topics=room:tea") as client:
            await client.say("ping")
            await client.text()
        async with api.stream(api.bob):
            pass

    await visit()
    before = len(asyncio.all_tasks())
    for _ in range(100):
        await visit()
    registry = api.services[Registry]
    await api.until(lambda: not len(registry) and len(asyncio.all_tasks()) <= before)

    assert not registry._of_user
    assert not registry._of_network
    assert registry._places == 0
