"""What other plugins get: a client whose callers wait for a connection."""

import asyncio

import anyio
import anyio.lowlevel
import pytest
from redis.exceptions import ResponseError

from powerstrip_redis import RedisUnavailable
from powerstrip_redis.errors import Cause, NoFreeConnection

MANY = 200


async def test_answers_are_what_was_stored(running):
    async with running() as connections, connections.available() as client:
        await client.set("a", b"\xff\x00")

        assert await client.get("a") == b"\xff\x00"


async def test_keys_begin_with_the_configured_prefix(running):
    async with running({"key_prefix": "shop:"}) as connections:
        assert connections.key("limits", "{ann}", "minute") == "shop:limits:{ann}:minute"


async def test_callers_wait_for_a_connection_instead_of_failing(running):
    async def count():
        async with connections.available() as client:
            return await client.incr("visits")

    async with running({"pool_size": 2, "pool_timeout": 60}) as connections:
        counts = await asyncio.gather(*(count() for _ in range(MANY)))

    assert sorted(counts) == list(range(1, MANY + 1))


async def test_no_more_connections_are_opened_than_the_pool_has(running, valkey):
    async with running({"pool_size": 3, "pool_timeout": 60}) as connections:
        await asyncio.gather(*(connections.client.incr("visits") for _ in range(MANY)))

        own = [line for line in valkey.command("CLIENT", "LIST").splitlines() if b"name=powerstrip" in line]
        assert len(own) == 3


async def test_whoever_waits_too_long_is_told_and_the_server_is_not_blamed(running, valkey, until):
    async with running({"pool_size": 1, "pool_timeout": 0.05, "timeout": 30}) as connections:
        waiting = asyncio.create_task(connections.client.blpop("nothing", timeout=20))
        await until(lambda: b"blocked_clients:1" in valkey.command("INFO", "clients"))

        with pytest.raises(NoFreeConnection):
            await connections.client.ping()
        with pytest.raises(RedisUnavailable) as refusal:
            async with connections.available() as client:
                await client.ping()

        assert refusal.value.cause is Cause.BUSY
        assert connections.is_available
        waiting.cancel()


async def test_waiting_callers_that_are_cancelled_take_no_connection_with_them(running):
    async with running({"pool_size": 2, "pool_timeout": 60}) as connections:
        for _ in range(20):
            tasks = [asyncio.create_task(connections.client.incr("visits")) for _ in range(20)]
            await anyio.lowlevel.checkpoint()
            for task in tasks[::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        with anyio.fail_after(30):
            assert await asyncio.gather(*(connections.client.ping() for _ in range(10))) == [True] * 10


async def test_a_command_that_is_wrong_is_its_callers_own_affair(running):
    async with running() as connections:
        with pytest.raises(ResponseError):
            async with connections.available() as client:
                await client.execute_command("NONSENSE")

        assert connections.is_available


async def test_a_blocking_client_may_wait_for_longer_than_a_command(running):
    async with running({"timeout": 0.2}) as connections, connections.blocking(longest=20) as reader:
        waiting = asyncio.create_task(reader.blpop("news", timeout=20))
        await anyio.sleep(0.5)  # longer than a command may take
        await connections.client.rpush("news", "hello")

        with anyio.fail_after(30):
            assert await waiting == (b"news", b"hello")


async def test_a_blocking_client_hears_what_is_published(running):
    async with running() as connections, connections.blocking() as reader, reader.pubsub() as news:
        await news.subscribe("news")
        while (await news.get_message(timeout=5))["type"] != "subscribe":
            pass
        await connections.client.publish("news", "hello")

        message = await news.get_message(ignore_subscribe_messages=True, timeout=30)
        assert message["data"] == b"hello"


async def test_scripts_outlive_a_server_that_has_forgotten_them(running, valkey):
    async with running() as connections:
        script = connections.client.register_script("return redis.call('INCR', KEYS[1])")
        await script(keys=["a"])
        valkey.command("SCRIPT", "FLUSH")

        assert await script(keys=["a"]) == 2
