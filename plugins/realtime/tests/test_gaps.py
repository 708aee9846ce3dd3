"""A log that has lost events: whoever listens is told, whatever the others do meanwhile."""

import asyncio
from contextlib import asynccontextmanager

from powerstrip import Clock, Event, Plugin, PluginSettings, Replay, hookimpl
from powerstrip_realtime.hub import Hub
from powerstrip_realtime.memory_log import MemoryEventLog
from powerstrip_realtime.settings import HistorySettings


class ForgetfulLog(MemoryEventLog):
    """Knows nothing of the past, and takes its time to say so."""

    def __init__(self, clock):
        super().__init__(HistorySettings(), clock)
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def since(self, topic, position):
        self.asked.set()
        await self.answer.wait()
        return Replay((), is_complete=False)


class Forgetful(Plugin[PluginSettings]):
    """Provides such a log, as the plugin redis provides its own."""

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        log = ForgetfulLog(services[Clock])
        with log.retain(lambda _topic: None):
            yield log


async def test_a_client_that_leaves_meanwhile_keeps_no_other_from_being_told(start):
    extra = {"redis": Forgetful}
    async with start(plugins={"redis": True}, extra=extra) as api, api.socket(api.bob) as bob:
        log = api.services[ForgetfulLog]
        async with api.socket(api.ann, path="/ws?topics=room:tea"):
            await log.append(Event("elsewhere", "news"))
            telling = asyncio.create_task(api.services[Hub].on_gap())
            await log.asked.wait()
        await api.until(lambda: not api.services[Hub].listeners("room:tea"))
        log.answer.set()
        await telling

        gaps = [(await bob.next())["topic"] for _ in range(3)]
        assert sorted(gaps) == ["broadcast", "role:user", "user:bob"]
