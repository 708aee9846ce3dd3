"""The server goes away, freezes, and comes back; the application stays."""

import asyncio
import logging
import time
from typing import Annotated

import anyio
import pytest
from fastapi import APIRouter, Depends
from redis.exceptions import ConnectionError as RedisConnectionError

from powerstrip import Plugin, PluginSettings, Routes, hookimpl, public, service
from powerstrip_redis import RedisConnections, RedisUnavailable

MANY = 100


async def test_the_application_starts_without_the_server(running, valkey, is_noticed):
    valkey.stop()

    async with running() as connections:
        await is_noticed(connections)


async def test_it_is_found_when_it_comes(running, valkey, works_again):
    valkey.stop()

    async with running() as connections:
        valkey.start()
        await works_again(connections)


async def test_a_restart_between_two_calls_goes_unnoticed(running, valkey):
    async with running() as connections:
        await connections.client.ping()
        valkey.stop()
        valkey.start()

        async with connections.available() as client:
            assert await client.incr("visits") == 1


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_all_recovers_by_itself(running, valkey, fault, is_noticed, works_again):
    async with running({"timeout": 0.3}) as connections:
        getattr(valkey, fault)()
        await is_noticed(connections)
        valkey.refresh()

        await works_again(connections)
        assert connections.is_available


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_while_it_is_away_nobody_waits(running, valkey, fault, is_noticed):
    """CPU time says that nothing was tried, and a frozen server would make a hundred calls take a minute."""
    async with running({"timeout": 0.6, "longest_pause": 3600}) as connections:
        getattr(valkey, fault)()
        await is_noticed(connections)

        refused = 0
        before = time.process_time()
        for _ in range(MANY):
            try:
                async with connections.available() as client:
                    await client.ping()
            except RedisUnavailable:
                refused += 1

    assert refused == MANY
    assert time.process_time() - before < 1


async def test_calls_may_be_given_less_time_than_commands(running, valkey):
    async with running({"timeout": 60}) as connections:
        valkey.freeze()

        with anyio.fail_after(30), pytest.raises(RedisUnavailable):
            async with connections.available(within=0.1) as client:
                await client.ping()


async def test_an_outage_is_logged_once_at_each_end(running, valkey, caplog, is_noticed, works_again):
    caplog.set_level(logging.INFO, logger="powerstrip_redis")
    async with running() as connections:
        await connections.probe()
        valkey.stop()
        for _ in range(5):
            await is_noticed(connections)
            with pytest.raises(RedisUnavailable):
                await connections.probe()
        valkey.start()
        for _ in range(5):
            await works_again(connections)

    assert told(caplog) == ["the Redis server is not available", "the Redis server is back"]


async def test_an_outage_is_not_logged_again_for_the_reader_of_events(running, valkey, caplog, until, works_again):
    def reads():
        return b"cmd=xread" in valkey.command("CLIENT", "LIST")

    caplog.set_level(logging.INFO, logger="powerstrip_redis")
    async with running({"events": {"carry": True}}) as connections:
        await until(reads)
        valkey.stop()
        await until(lambda: not connections.is_available)
        valkey.start()
        await works_again(connections)
        await until(reads)

    assert told(caplog) == ["the Redis server is not available", "the Redis server is back"]


async def test_a_server_that_refuses_to_read_events_is_logged_once_at_each_end(running, valkey, caplog, until):
    caplog.set_level(logging.INFO, logger="powerstrip_redis")
    async with running({"events": {"carry": True}}):
        await until(lambda: b"cmd=xread" in valkey.command("CLIENT", "LIST"))
        valkey.command("SET", "powerstrip:{events}:feed", "something else")
        await until(lambda: told(caplog))
        valkey.command("DEL", "powerstrip:{events}:feed")
        await until(lambda: len(told(caplog)) > 1)

    assert told(caplog) == ["the event log can't be read", "the event log can be read again"]


async def test_a_server_that_has_no_room_for_the_reader_of_events_is_logged_once_at_each_end(
    running, valkey, caplog, until
):
    caplog.set_level(logging.INFO, logger="powerstrip_redis")
    async with running({"events": {"carry": True}, "pool_size": 1}) as connections:
        await until(lambda: b"cmd=xread" in valkey.command("CLIENT", "LIST"))
        [room] = (await connections.client.config_get("maxclients")).values()
        await connections.client.config_set("maxclients", 1)
        await connections.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await until(lambda: told(caplog))
        await connections.client.config_set("maxclients", room)
        await until(lambda: len(told(caplog)) > 1)

    assert told(caplog) == ["the event log can't be read", "the event log can be read again"]


def told(caplog):
    return [record.message for record in caplog.records if record.name.startswith("powerstrip_redis")]


async def test_after_an_outage_one_call_goes_first(running, valkey, is_noticed, until):
    """A server that answers pings and nothing else is still away: a hundred callers don't find that out each."""
    async with running({"timeout": 0.2, "longest_pause": 0.05}) as connections:
        valkey.stop()
        await is_noticed(connections)
        valkey.start()
        await until(lambda: connections.is_available)
        valkey.freeze()

        async def call():
            async with connections.available() as client:
                asked.append(client)
                await client.ping()

        asked = []
        outcomes = await asyncio.gather(*(call() for _ in range(MANY)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [RedisUnavailable] * MANY
    assert len(asked) == 1


async def test_a_caller_that_leaves_decides_nothing(running, valkey, is_noticed, works_again):
    async with running({"timeout": 60, "connect_timeout": 60}) as connections:
        await connections.probe()
        valkey.freeze()
        leaving = asyncio.create_task(connections.probe())
        await anyio.sleep(0.05)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving

        assert connections.is_available
        valkey.resume()
        await works_again(connections)


async def test_tasks_can_wait_for_it(running, valkey, is_noticed):
    async with running() as connections:
        valkey.stop()
        await is_noticed(connections)
        waiting = asyncio.create_task(connections.wait_until_available())
        await anyio.sleep(0.05)
        assert not waiting.done()
        valkey.start()

        with anyio.fail_after(30):
            await waiting


async def test_a_blocking_client_says_that_it_was_cut_off(running, valkey, until):
    async with running() as connections, connections.blocking() as reader:
        await reader.ping()
        waiting = asyncio.create_task(reader.blpop("news", timeout=0))
        await until(lambda: b"blocked_clients:1" in valkey.command("INFO", "clients"))
        valkey.stop()

        with anyio.fail_after(30), pytest.raises(RedisConnectionError):
            await waiting


class Careless(Plugin[PluginSettings]):
    """Asks the server in a path operation, and catches nothing."""

    requires = ("redis",)

    @hookimpl
    def register_routes(self):
        router = APIRouter(dependencies=[Depends(public)])

        @router.get("/visits")
        async def visits(connections: Annotated[RedisConnections, Depends(service(RedisConnections))]) -> int:
            return await connections.client.incr("visits")

        return [Routes(router, version=None)]


def test_a_request_that_can_not_do_without_is_answered_503(powerstrip_client, redis_url, valkey):
    plugins = {"redis": {"url": redis_url, "retry_after": 7}, "careless": True}
    with powerstrip_client(plugins, extra={"careless": Careless}) as client:
        assert client.get("/visits").json() == 1
        valkey.stop()
        answer = client.get("/visits")
        valkey.start()
        again = client.get("/visits")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["error"]["type"] == "RedisUnavailable"
    assert again.json() == 1
