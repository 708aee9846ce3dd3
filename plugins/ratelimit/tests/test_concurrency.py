"""Limits of how many requests and WebSockets may be under way at a time."""

import asyncio

import pytest
from redis.asyncio import Redis

from powerstrip_ratelimit.stores.memory import MemoryStore

PATIENCE = 60.0  # seconds: the machine may be busy
STREAM, ECHO, THINGS = "/api/v1/stream", "/api/v1/echo", "/api/v1/things"
STREAMS = {"default": None, "policies": {"streams": {"concurrent": 2, "routes": [STREAM]}}}


@pytest.fixture
def served(powerstrip_reloading, sample, clock):
    def do(settings, *, plugins=None, **options):
        plugins = {"ratelimit": settings, "sample": True, **(plugins or {})}
        return powerstrip_reloading(plugins, extra={"sample": sample}, clock=clock, **options)

    return do


async def begun(served, path=STREAM):
    call = served.get(path)
    await call.until("http.response.start")
    return call


async def left(call):
    call.leave()
    await call.answer()


async def test_so_many_at_a_time_and_one_more_when_one_has_ended(served):
    async with served(STREAMS) as app:
        first, second = await begun(app), await begun(app)
        refused = await begun(app)
        await left(first)
        third = await begun(app)

        assert [call.status for call in (first, second, refused, third)] == [200, 200, 429, 200]
        assert await app.status(THINGS) == 200
        for call in (second, third):
            await left(call)


async def test_a_refusal_says_when_to_try_again(served):
    async with served(STREAMS) as app:
        calls = [await begun(app) for _ in range(3)]

        headers = dict(calls[-1].sent[0]["headers"])
        assert headers[b"retry-after"] == b"1"
        assert headers[b"ratelimit-policy"] == b'"streams";q=2;qu="concurrent-requests"'
        assert headers[b"ratelimit"] == b'"streams";r=0'
        for call in calls[:2]:
            await left(call)


async def test_requests_that_fail_or_are_refused_later_end_as_well(served):
    settings = {"default": None, "policies": {"all": {"concurrent": 1}}}
    async with served(settings) as app:
        assert [await app.status("/api/v1/boom") for _ in range(3)] == [500] * 3
        assert [await app.status("/nowhere") for _ in range(3)] == [404] * 3


async def test_another_policy_that_refuses_leaves_no_lease_behind(served, clock):
    settings = {"default": "1/minute", "policies": {"all": {"concurrent": 1}}}
    async with served(settings) as app:
        assert [await app.status(THINGS) for _ in range(3)] == [200, 429, 429]
        clock.advance(60)
        assert await app.status(THINGS) == 200


async def test_a_websocket_counts_for_as_long_as_it_is_open(served):
    settings = {"default": None, "policies": {"sockets": {"concurrent": 1, "methods": ["WEBSOCKET"]}}}
    async with served(settings) as app:
        first = app.connect(ECHO)
        await first.until("websocket.accept")
        second = app.connect(ECHO)
        await second.until("websocket.close")
        await left(first)
        third = app.connect(ECHO)
        await third.until("websocket.accept")
        await left(third)


async def test_leases_are_counted_on_over_a_reload_that_changes_how_many_there_may_be(served):
    async with served(STREAMS) as app:
        first, second = await begun(app), await begun(app)
        more = {"default": None, "policies": {"streams": {"concurrent": 3, "routes": [STREAM]}}}

        changes = await app.reload({"ratelimit": more, "sample": True})

        assert changes["ratelimit"] == "reconfigured"
        third, refused = await begun(app), await begun(app)
        assert (third.status, refused.status) == (200, 429)
        for call in (first, second, third):
            await left(call)


async def test_without_renewal_a_lease_ends_by_itself(served, clock):
    """As those of a process that died do."""
    async with served({**STREAMS, "lease": 60}) as app:
        calls = [await begun(app) for _ in range(2)]
        clock.advance(60)

        calls.append(await begun(app))

        assert calls[-1].status == 200
        for call in calls:
            await left(call)


@pytest.fixture
def renewed(clock, monkeypatch):
    """When leases in memory were renewed, and how many."""
    renewals = {}

    class Watched(MemoryStore):
        async def renew(self, counts):
            await super().renew(counts)
            renewals[clock.monotonic()] = len(counts)

    monkeypatch.setattr("powerstrip_ratelimit.stores.opening.MemoryStore", Watched)
    return renewals


async def are_renewed(renewed, at):
    async with asyncio.timeout(PATIENCE):
        while at not in renewed:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_what_is_held_in_memory_is_renewed(served, clock, renewed):
    async with served({**STREAMS, "lease": 3}) as app:
        calls = [await begun(app) for _ in range(2)]
        clock.advance(2.9)
        await are_renewed(renewed, at=2.9)
        clock.advance(2.9)

        assert (await begun(app)).status == 429
        for call in calls:
            await left(call)
        await left(await begun(app))


async def test_leases_that_a_reload_makes_shorter_are_renewed_more_often(served, clock, renewed):
    async with served({**STREAMS, "lease": 3600}) as app:
        first = await begun(app)
        assert (await app.reload({"ratelimit": {**STREAMS, "lease": 3}, "sample": True}))["ratelimit"] == "reconfigured"
        second = await begun(app)
        clock.advance(2.9)
        await are_renewed(renewed, at=2.9)

        assert renewed[2.9] == 2
        for call in (first, second):
            await left(call)


async def test_what_is_held_in_redis_is_renewed(served, redis_url):
    settings = {**STREAMS, "lease": 3, "store_timeout": PATIENCE / 2}
    redis = {"url": redis_url, "timeout": PATIENCE / 2}
    async with served(settings, plugins={"redis": redis}) as app, Redis.from_url(redis_url) as client:

        async def leases():
            """Ids, and when they end."""
            [key, *_] = await client.keys("*streams*") or [b"none"]
            return await client.zrange(key, 0, -1, withscores=True)

        async with asyncio.timeout(PATIENCE):
            later = []
            while not later:  # a machine that stood still for three seconds lets it end, and may try again
                call = await begun(app)
                before = later = await leases()
                while later == before:
                    await asyncio.sleep(0.01)
                    later = await leases()
                await left(call)
            while await leases():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    [(lease, end)], [(same, later_end)] = before, later
    assert (same, later_end > end) == (lease, True)
