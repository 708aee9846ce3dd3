"""Calls through reloads: they end where they began, and only what stops is drained."""

import asyncio

import pytest
from core.tests.host.reloaded import recording, slow_plugin, until

pytestmark = pytest.mark.anyio


class TestCalls:
    async def test_a_request_ends_on_the_generation_that_it_began_on_and_its_plugin_stops_after_it(self, served):
        reloading = await served({"slow": slow_plugin()}, drain_timeout=20)
        old = reloading.plugin("slow")
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{slow: {size: 2}}")

        assert not old.stopped
        assert (await reloading.get("/quick").answer())[1] == b"2"
        old.go.set()
        assert await call.answer() == (200, b"1")
        await reloading.retired()
        assert old.stopped

    async def test_a_websocket_of_a_kept_plugin_lives_on_and_does_not_hold_those_that_stop(self, served):
        steps: list[str] = []
        reloading = await served({"slow": slow_plugin(), "other": recording(steps)}, drain_timeout=3600)
        socket = reloading.connect("/socket")
        await socket.until("websocket.accept")

        for size in range(2, 12):
            await reloading.reload(f"{{slow: on, other: {{size: {size}}}}}")
        await reloading.retired()
        socket.put("still there")
        await socket.until("websocket.send")

        assert socket.texts == ["1 still there"]
        assert steps.count("-other") == 10

    async def test_a_websocket_of_a_plugin_that_stops_is_closed_with_1012_after_the_drain_timeout(self, served):
        reloading = await served({"slow": slow_plugin(), "other": recording([])})
        slow = reloading.plugin("slow")
        socket = reloading.connect("/socket")
        await socket.until("websocket.accept")
        await reloading.reload("{slow: on}")
        await reloading.reload("{}")
        await reloading.retired()

        assert (await socket.until("websocket.close"))["code"] == 1012
        await asyncio.wait_for(socket.task, 20)
        assert slow.stopped

    async def test_an_event_stream_of_a_plugin_that_stops_ends_whole(self, served):
        reloading = await served({"slow": slow_plugin()})
        stream = reloading.get("/events")
        await stream.until("http.response.body")
        await reloading.reload("{}")

        assert await stream.answer() == (200, b"first")
        assert stream.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}

    async def test_a_download_that_is_cut_off_does_not_look_whole(self, served):
        reloading = await served({"slow": slow_plugin()})
        download = reloading.get("/download")
        await download.until("http.response.body")
        await reloading.reload("{}")
        await download.answer()

        assert download.sent[-1]["more_body"]

    async def test_a_request_that_takes_longer_than_the_drain_timeout_is_answered_503(self, served):
        reloading = await served({"slow": slow_plugin()})
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{}")

        status, body = await call.answer()

        assert status == 503
        assert b"PluginUnavailable" in body

    async def test_a_request_of_a_kept_plugin_is_never_cut_off(self, served):
        reloading = await served({"slow": slow_plugin(), "other": recording([])})
        call = reloading.get("/slow")
        await until(lambda: len(reloading.generation.leases) == 1)
        await reloading.reload("{slow: on, other: {size: 2}}")
        await reloading.retired()
        reloading.plugin("slow").go.set()

        assert await call.answer() == (200, b"1")

    async def test_routes_come_and_go_with_their_plugin(self, served):
        reloading = await served({"slow": slow_plugin()}, "{}")
        before = await reloading.status("/quick")
        await reloading.reload("{slow: on}")
        with_it = await reloading.status("/quick")
        await reloading.reload("{slow: off}")

        assert [before, with_it, await reloading.status("/quick")] == [404, 200, 404]

    async def test_a_server_that_is_about_to_stop_says_so_whatever_is_reloaded_meanwhile(self, served):
        reloading = await served({"one": recording([])})
        reloading.generation.announce_drain()

        await reloading.reload("{one: {size: 2}}")
        await reloading.retired()

        assert reloading.generation.step == "draining"
