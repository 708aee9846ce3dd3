"""What is kept back while a client catches up goes out after what it has missed, however slow the client is."""

import asyncio

import pytest

from powerstrip_realtime.frames import Frame
from powerstrip_realtime.outlet import Outlet
from powerstrip_realtime.settings import QueueSettings
from powerstrip_realtime.wire import Wire


class SlowClient:
    """Takes a message when it is allowed to."""

    def __init__(self):
        self.taken = []
        self.turns = asyncio.Semaphore(0)
        self.troubles = []

    async def send(self, message):
        await self.turns.acquire()
        self.taken.append(message["text"])

    def on_trouble(self, trouble):
        self.troubles.append(trouble)

    def dropped(self, count):
        return Frame(f"dropped {count}")

    async def takes(self, count):
        for _ in range(count):
            self.turns.release()
        async with asyncio.timeout(20):
            while len(self.taken) < count:  # noqa: ASYNC110 - the client tells nobody
                await asyncio.sleep(0)


class QuickClient(SlowClient):
    """Takes every message at once, as a wire and as its owner."""

    is_direct = True

    def write(self, frame):
        self.taken.append(frame[2:].decode())
        return True


@pytest.mark.parametrize("when_full", ["disconnect", "drop_oldest", "coalesce"])
async def test_what_waits_goes_out_first_then_what_was_missed_then_what_was_kept_back(when_full):
    client = SlowClient()
    outlet = Outlet(Wire(client.send), client, QueueSettings(when_full=when_full), is_socket=True)
    outlet.push(Frame("waits"))
    outlet.push(Frame("waits too"))
    outlet.hold()
    outlet.push(Frame("kept back"))
    await client.takes(2)
    outlet.release([Frame("missed"), Frame("missed too")])
    outlet.push(Frame("newest"))
    client.taken.clear()
    await client.takes(4)

    assert client.taken == ["missed", "missed too", "kept back", "newest"]
    assert client.troubles == []


async def test_what_is_kept_back_counts_against_the_bound_of_the_queue():
    client = SlowClient()
    outlet = Outlet(Wire(client.send), client, QueueSettings(messages=3), is_socket=True)
    outlet.hold()
    for number in range(4):
        outlet.push(Frame(f"{number}"))

    assert client.troubles == ["slow"]
    assert outlet.waiting == 0


async def test_a_replay_behind_what_waits_costs_the_client_nothing_of_its_bound():
    client = SlowClient()
    outlet = Outlet(Wire(client.send), client, QueueSettings(messages=3), is_socket=True)
    for number in range(3):
        outlet.push(Frame(f"waits {number}"))
    outlet.hold()
    outlet.release([Frame(f"missed {number}") for number in range(100)])
    for number in range(3):
        outlet.push(Frame(f"new {number}"))
    await client.takes(106)

    assert client.taken[-3:] == ["new 0", "new 1", "new 2"]
    assert client.troubles == []


async def test_a_quick_client_is_told_at_once_what_was_dropped_of_what_was_kept_back():
    client = QuickClient()
    outlet = Outlet(client, client, QueueSettings(messages=1, when_full="drop_oldest"), is_socket=True)
    outlet.hold()
    for number in range(3):
        outlet.push(Frame(f"{number}", key=("topic", "type")))
    outlet.release([Frame("missed")])

    assert client.taken == ["missed", "dropped 2", "2"]
