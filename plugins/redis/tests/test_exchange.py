"""Commands that other plugins pack themselves, sent in one go."""

import asyncio
import time

import anyio
import anyio.lowlevel
import pytest
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from powerstrip_redis import RedisUnavailable


def packed(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


async def test_commands_can_be_sent_in_one_go(running):
    async with running() as connections:
        answers = await connections.exchange([packed(b"INCR", b"a"), packed(b"NONSENSE"), packed(b"INCR", b"a")], 30)

    assert (answers[0], type(answers[1]), answers[2]) == (1, ResponseError, 2)


ANSWERS = {
    "simple": (("SET", "a", "1"), b"OK"),
    "text": (("GET", "a"), b"1"),
    "nothing": (("GET", "nothing"), None),
    "number": (("STRLEN", "a"), 1),
    "empty": (("ECHO", ""), b""),
    "what looks like another": (("ECHO", "\r\n$1\r\n"), b"\r\n$1\r\n"),
    "list": (("MGET", *["a"] * 1000), [b"1"] * 1000),
    "lists in a list": (("EVAL", "return {1, {'x', false}, {}}", "0"), [1, [b"x", None], []]),
    "map": (("EVAL", "return {map = {a = 1}}", "0"), {b"a": 1}),
    "set": (("EVAL", "return {set = {a = true}}", "0"), [b"a"]),
    "fraction": (("EVAL", "return {double = 1.5}", "0"), 1.5),
    "truth": (("EVAL", "redis.setresp(3) return true", "0"), True),
    "large number": (("EVAL", "return {big_number = '36893488147419103232'}", "0"), 2**65),
    "verbatim": (("EVAL", "return {verbatim_string = {format = 'txt', string = 'x'}}", "0"), b"x"),
}


@pytest.mark.parametrize(("command", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_every_kind_of_answer_is_taken_apart(running, command, expected):
    async with running() as connections:
        await connections.client.set("a", "1")
        answers = await connections.exchange([packed(*(word.encode() for word in command)), packed(b"PING")], 30)

    assert answers == [expected, b"PONG"]


async def test_an_answer_may_come_in_many_pieces(running):
    text = bytes(range(256)) * 8192
    async with running() as connections:
        answers = await connections.exchange([packed(b"PING"), packed(b"ECHO", text), packed(b"ECHO", text)], 60)

    assert answers == [b"PONG", text, text]


async def test_errors_are_those_of_redis_py(running):
    async with running() as connections:
        [error] = await connections.exchange([packed(b"EVALSHA", b"0" * 40, b"0")], 30)

    assert isinstance(error, NoScriptError)


async def test_an_answer_that_nobody_asked_for_is_taken_for_no_other(running):
    twice = packed(b"ECHO", b"old") * 2
    async with running({"pool_size": 1}) as connections:
        assert await connections.exchange([twice], 30) == [b"old"]
        assert await connections.exchange([packed(b"ECHO", b"new")], 30) == [b"new"]
        assert await connections.exchange([twice], 30) == [b"old"]
        assert await connections.client.execute_command("ECHO", "new") == b"new"


async def test_the_client_goes_on_with_connections_that_were_used_so(running):
    async with running({"pool_size": 1}) as connections:
        for number in range(1, 6, 2):
            assert await connections.exchange([packed(b"INCR", b"a")], 30) == [number]
            assert await connections.client.incr("a") == number + 1


async def test_an_answer_that_has_come_while_the_loop_was_held_up_is_in_time(running, valkey):
    async with running() as connections:
        await connections.exchange([packed(b"PING")], 30)
        asking = asyncio.create_task(connections.exchange([packed(b"PING")], 0.05))
        await anyio.lowlevel.checkpoint()
        for _ in range(2):
            valkey.command("PING")  # what was asked before is answered before
        time.sleep(0.1)  # noqa: ASYNC251 - that is what holding up is

        assert await asking == [b"PONG"]


async def test_a_go_that_takes_too_long_is_given_up(running, valkey):
    async with running({"timeout": 60}) as connections:
        await connections.exchange([packed(b"PING")], 30)
        valkey.freeze()

        with anyio.fail_after(30), pytest.raises(RedisUnavailable) as refusal:
            await connections.exchange([packed(b"PING")], 0.1)
        assert isinstance(refusal.value.__cause__, RedisTimeoutError)


async def test_a_connection_that_was_lost_at_rest_is_replaced(running, valkey):
    async with running() as connections:
        await connections.exchange([packed(b"PING")], 30)
        valkey.stop()
        valkey.start()

        assert await connections.exchange([packed(b"PING")], 30) == [b"PONG"]


async def test_what_is_sent_again_gets_no_more_time(running, valkey):
    async with running() as connections:
        await connections.exchange([packed(b"PING")], 30)
        valkey.freeze()
        asking = asyncio.create_task(connections.exchange([packed(b"PING")], 0.05))
        await anyio.lowlevel.checkpoint()
        valkey.stop()
        valkey.start()
        time.sleep(0.1)  # noqa: ASYNC251 - so the connection is found to be lost when the time is over

        with pytest.raises(RedisUnavailable):
            await asking


async def test_whoever_leaves_in_the_middle_leaves_no_answer_to_others(running):
    async with running({"pool_size": 1}) as connections:
        for number in range(50):
            asking = asyncio.create_task(connections.exchange([packed(b"ECHO", b"old")] * 20, 30))
            for _ in range(number % 5):
                await anyio.lowlevel.checkpoint()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

            assert await connections.exchange([packed(b"ECHO", b"new")], 30) == [b"new"]
