"""Several processes that share a log behave as one."""

import json
import signal
import time

import httpx2
import pytest
import websockets

from powerstrip import EventLog, LogPosition
from powerstrip.testing import signed_in
from powerstrip_realtime.presence import Attendance

PASSWORD = "correct horse battery"
CHEAP = {"memory_kib": 8, "iterations": 1, "threads": 1}


async def test_an_event_of_one_process_reaches_the_clients_of_all(start_two):
    async with start_two() as (one, other), one.socket() as here, other.stream() as there:
        await one.publish("user:ann", 1)
        await other.publish("user:ann", 2)
        seen = [await here.next() for _ in range(2)]

        assert [await there.next() for _ in range(2)] == seen
        assert {message["data"] for message in seen} == {1, 2}


async def test_a_client_can_come_back_to_another_process(start_two):
    async with start_two() as (one, other):
        async with one.socket() as client:
            await one.publish("user:ann", 0)
            since = (await client.next())["id"]
        for number in (1, 2, 3):
            await one.publish("user:ann", number)
        async with other.socket(path=f"/ws?since={since}") as client:
            assert client.hello["data"]["recovered"] is True
            assert await client.events(3) == [1, 2, 3]


async def test_a_ticket_of_one_process_lets_in_at_another_once(start_two):
    async with start_two() as (one, other):
        answer = await one.http.post("/api/v1/realtime/tickets", headers=signed_in(one.ann))
        path = f"/ws?ticket={answer.json()['ticket']}"
        async with other.socket(None, path) as client:
            assert client.hello["data"]["user_id"] == "ann"
        for api in (one, other):
            with pytest.raises(websockets.InvalidStatus):
                async with api.socket(None, path):
                    pass


async def test_access_that_ends_in_one_process_ends_in_all(start_two):
    async with start_two() as (one, other), other.socket(other.ann) as ann, other.socket(other.bob) as bob:
        await one.publish("user.suspended", {"user_id": "ann", "access_changed": True}, "user.suspended")

        assert (await ann.closed()).code == 4003
        assert await bob.is_silent()


async def test_presence_is_that_of_all_processes(start_two):
    async with start_two(presence_interval=0.05) as (one, other), one.socket(one.ann) as ann:
        await ann.ask(type="subscribe", topic="room:tea")
        async with other.socket(other.bob) as bob:
            await bob.ask(type="subscribe", topic="room:tea")
            while (await ann.ask(type="presence", topic="room:tea"))["data"]["count"] != 2:
                pass
            answer = await ann.ask(type="presence", topic="room:tea")
            assert [member["id"] for member in answer["data"]["members"]] == ["ann", "bob"]
        while (await ann.ask(type="presence", topic="room:tea"))["data"]["count"] != 1:
            pass


async def test_who_was_in_a_process_that_fell_silent_is_forgotten(start, fake_clock):
    async with start(clock=fake_clock, presence_interval=10) as api, api.socket(api.ann) as ann:
        await ann.ask(type="subscribe", topic="room:tea")
        told = {"process": "killed", "topics": {"room:tea": {"bob": "Bob"}}, "after": "", "until": ""}
        await api.publish("realtime.presence", told, "realtime.presence")
        assert (await ann.ask(type="presence", topic="room:tea"))["data"]["count"] == 2
        fake_clock.advance(31)

        assert (await ann.ask(type="presence", topic="room:tea"))["data"]["count"] == 1
        assert api.services[Attendance]


async def test_who_came_while_the_log_was_away_can_come_back_and_is_told_that_something_may_be_missing(start, valkey):
    valkey.stop()
    async with start(plugins={"redis": {"url": valkey.url}}) as api:
        async with api.socket() as client:
            since = client.hello["id"]
        valkey.start()
        async with api.socket(path=f"/ws?since={since}") as client:
            assert client.hello["data"]["recovered"] is False


async def test_a_gap_is_told_to_those_who_listen(start_two, valkey):
    async with start_two() as (one, other), other.socket() as client:
        await one.publish("user:ann", 1)
        await client.next()
        valkey.stop()
        valkey.start()
        gap = await client.until("gap")
        assert gap["data"] == {"recovered": False}
        while True:
            await one.publish("broadcast", 2)
            if (await client.next())["type"] == "news":
                break


def test_two_real_processes_are_one(powerstrip_process, redis_url, tmp_path):
    """Sign up and listen at one, publish at the other; a suspended user has to go from both."""
    plugins = {
        "redis": {"url": redis_url},
        "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/data.db"},
        "users": {"secret_key": "a key for tests that nobody else has", "passwords": CHEAP},
        "realtime": True,
    }
    with powerstrip_process(plugins) as one, powerstrip_process(plugins) as other:
        form = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
        with httpx2.Client(base_url=f"{one.base_url}/api/v1", timeout=20) as http:
            sign_up = {**form, "confirm_password": PASSWORD, "terms_accepted": True}
            user_id = http.post("/users/", json=sign_up).json()["id"]
            token = http.post("/auth/token", data={"username": "ada", "password": PASSWORD}).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            with connected(other, headers) as socket:
                hello = json.loads(socket.recv(20))
                assert hello["data"]["user_id"] == user_id
                assert http.post("/auth/logout", headers=headers, json={}).status_code < 300
                with pytest.raises(websockets.ConnectionClosed):
                    socket.recv(20)
                assert socket.close_code == 4505
            token = http.post("/auth/token", data={"username": "ada", "password": PASSWORD}).json()["access_token"]
            with connected(other, {"Authorization": f"Bearer {token}"}) as socket:
                socket.recv(20)
                reload(other)
                other.process.terminate()
                with pytest.raises(websockets.ConnectionClosed):
                    socket.recv(20)
                assert socket.close_code == 1012
                assert json.loads(socket.close_reason)["retry_ms"] > 0
            assert "secret" not in other.log  # uvicorn would log the query of each handshake


def reload(served):
    """Let another generation serve; who is connected stays with the one before."""
    served.config.write_text(f"{served.config.read_text()}\napi: {{prefix: /another}}\n")
    served.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while "reloaded" not in served.log:
        assert time.monotonic() < deadline, served.log
        time.sleep(0.02)


def connected(served, headers):
    from websockets.sync.client import connect  # noqa: PLC0415 - only this test is not async

    return connect(
        f"{served.base_url.replace('http', 'ws')}/ws?note=secret", additional_headers=headers, open_timeout=20
    )


async def test_a_process_that_is_behind_tells_nothing_twice_to_those_who_come_from_another(start_two):
    """The last id that a client brings may be one that its new process has not heard of yet."""
    async with start_two() as (one, other):
        async with one.socket() as client:
            for number in range(5):
                await one.publish("user:ann", number)
            *_, last = [await client.next() for _ in range(5)]
        log = other.services[EventLog]
        await other.until(lambda: str(log.position) == last["id"])
        epoch, _, offset = last["id"].partition(":")
        log._position = LogPosition(epoch, int(offset) - 3)  # as if it had not read the last three
        async with other.socket(path=f"/ws?since={last['id']}") as client:
            assert client.hello["data"]["recovered"] is True
            await one.publish("user:ann", "new")
            assert await client.events(1) == ["new"]
