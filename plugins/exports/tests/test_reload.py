"""Sources come and go with the plugins that offer them, and what runs goes on."""

import asyncio
import json

import pytest
from exports_sample import Things

from powerstrip import ExportColumn, ExportSource, Identity, Plugin, PluginSettings, hookimpl
from powerstrip.testing import signed_in

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("*",)))


class Long(Plugin[PluginSettings]):
    """Offers many rows."""

    @hookimpl
    def register_exports(self):
        return [ExportSource("long", [ExportColumn("n", "integer")], "long:read", batches=self._batches)]

    async def _batches(self, _context):
        for start in range(0, 200_000, 500):
            await asyncio.sleep(0)
            yield [(n,) for n in range(start, start + 500)]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def plugins(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {"fake_identity": True, "database": {"url": sqlite_url}, "exports": True}


async def test_a_source_and_its_address_go_with_their_plugin_and_come_back(powerstrip_reloading, plugins):
    async with powerstrip_reloading({**plugins, "things": True}, extra={"things": Things}) as served:
        exports = served.plugin("exports")
        before = await served.get("/api/v1/exports/count", **signed_in(OWNER)).answer()
        changes = await served.reload(plugins)
        without = [
            await served.get(path, **signed_in(OWNER)).answer()
            for path in ("/api/v1/exports/count", "/api/v1/things/export", "/api/v1/exports")
        ]
        again = await served.reload({**plugins, "things": True})
        after = await served.get("/api/v1/exports/count", **signed_in(OWNER)).answer()
        _, listed = await served.get("/api/v1/exports", **signed_in(OWNER)).answer()

        assert served.plugin("exports") is exports
    assert (before[0], after[0]) == (200, 200)
    assert changes["exports"] == again["exports"] == "reconfigured"
    assert [status for status, _ in without] == [404, 404, 200]
    assert without[2][1] == b'{"items":[]}'
    assert "count" in {item["name"] for item in json.loads(listed)["items"]}


async def test_a_stream_goes_on_while_others_are_reloaded(powerstrip_reloading, plugins):
    async with powerstrip_reloading({**plugins, "long": True}, extra={"long": Long}) as served:
        stream = served.get("/api/v1/exports/long", **signed_in(OWNER))
        await stream.until("http.response.start")
        changes = await served.reload({**plugins, "long": True, "health": True})
        status, body = await asyncio.wait_for(stream.answer(), 60)

    assert (changes["exports"], changes["health"]) == ("kept", "added")
    assert (status, body.count(b"\n")) == (200, 200_001)
