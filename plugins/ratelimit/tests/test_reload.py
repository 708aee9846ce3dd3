"""Other settings under running counters."""

import pytest

THINGS = "/api/v1/things"


@pytest.fixture
def served(powerstrip_reloading, sample, clock):
    def do(settings):
        return powerstrip_reloading({"ratelimit": settings, "sample": True}, extra={"sample": sample}, clock=clock)

    return do


async def reload(app, settings, **plugins):
    changes = await app.reload({"ratelimit": settings, "sample": True, **plugins})
    return changes["ratelimit"]


async def remaining(app):
    call = app.get(THINGS)
    await call.answer()
    return dict(call.sent[0]["headers"])[b"x-ratelimit-remaining"]


async def test_a_changed_rate_counts_on(served):
    async with served({"default": "5/minute"}) as app:
        assert [await remaining(app) for _ in range(3)] == [b"4", b"3", b"2"]

        assert await reload(app, {"default": "10/minute"}) == "reconfigured"

        assert await remaining(app) == b"6"


async def test_a_lower_rate_refuses_who_has_used_more(served, clock):
    async with served({"default": "5/minute"}) as app:
        assert [await app.status(THINGS) for _ in range(3)] == [200] * 3

        await reload(app, {"default": "2/hour"})

        assert await app.status(THINGS) == 429
        clock.advance(3599)
        assert await app.status(THINGS) == 429
        clock.advance(1)
        assert await app.status(THINGS) == 200


async def test_policies_come_and_go_and_those_that_stay_count_on(served):
    async with served({"default": "5/minute"}) as app:
        await app.status(THINGS)

        await reload(app, {"default": "5/minute", "policies": {"more": "1/minute"}})
        assert [await app.status(THINGS) for _ in range(2)] == [200, 429]

        await reload(app, {"default": "5/minute"})
        assert await remaining(app) == b"2"


async def test_leases_that_come_with_a_reload_need_a_start(served):
    async with served({"default": "5/minute"}) as app:
        settings = {"default": "5/minute", "policies": {"few": {"concurrent": 1}}}

        assert await reload(app, settings) == "restarted"


async def test_a_key_that_nobody_brings_is_refused_and_all_goes_on(served):
    async with served({"default": "2/minute"}) as app:
        await app.status(THINGS)
        settings = {"policies": {"tenants": {"rate": "1/minute", "key": "tenant"}}}

        with pytest.raises(Exception, match="counts by 'tenant', a key that no plugin brings"):
            await reload(app, settings)

        assert await remaining(app) == b"0"


async def test_the_same_settings_keep_everything(served):
    async with served({"default": "5/minute"}) as app:
        await app.status(THINGS)

        assert await reload(app, {"default": "5/minute"}, health=True) == "kept"

        assert await remaining(app) == b"3"


async def test_a_changed_rate_counts_on_in_redis_too(served, redis_url):
    redis = {"redis": {"url": redis_url}}
    async with served({"default": "5/minute"}) as app:
        await reload(app, {"default": "5/minute"}, **redis)
        assert [await remaining(app) for _ in range(3)] == [b"4", b"3", b"2"]

        assert await reload(app, {"default": "10/hour"}, **redis) == "reconfigured"

        assert await remaining(app) == b"6"


async def test_redis_that_is_switched_on_is_counted_in_and_left_when_it_goes(served, redis_url, valkey):
    async with served({"default": "5/minute"}) as app:
        await app.status(THINGS)
        assert await reload(app, {"default": "5/minute"}, redis={"url": redis_url}) == "restarted"
        await app.status(THINGS)
        assert b"sliding:default" in valkey.command("KEYS", "*limits*")

        assert await reload(app, {"default": "5/minute"}) == "restarted"
        assert await remaining(app) == b"4"


async def test_what_happens_while_the_store_is_away_is_another_store(served, redis_url, valkey):
    redis = {"redis": {"url": redis_url}}
    async with served({"default": "1000/minute"}) as app:
        await reload(app, {"default": "1000/minute"}, **redis)
        assert await reload(app, {"default": "1000/minute", "on_store_failure": "deny"}, **redis) == "restarted"
        valkey.stop()

        assert await app.status(THINGS) == 503
