"""What health tells of reloads, and that it forgets what they stopped."""

import gc
import json
import weakref

import pytest

from powerstrip import ConfigError, HealthCheck, Plugin, PluginSettings, hookimpl

pytestmark = pytest.mark.anyio


class Size(PluginSettings):
    size: int = 1


class Checked(Plugin[Size]):
    """Checks itself."""

    @hookimpl
    def register_health_checks(self):
        return [HealthCheck("size", self.check)]

    async def check(self):
        return {"size": self.settings.size}


async def detailed(served):
    _, body = await served.get("/health/detailed").answer()
    return json.loads(body)


async def test_details_are_those_of_the_generation_that_serves(powerstrip_reloading):
    async with powerstrip_reloading({"health": True, "checked": True}, extra={"checked": Checked}) as served:
        before = await detailed(served)
        assert await served.reload({"health": True, "checked": {"size": 2}}) == {
            "health": "kept",
            "checked": "restarted",
        }
        after = await detailed(served)

    assert "last_reload" not in before
    assert [health["services"]["size"]["details"] for health in (before, after)] == [{"size": 1}, {"size": 2}]
    assert [health["generation"] for health in (before, after)] == [1, 2]
    assert after["last_reload"]["succeeded"]


async def test_a_failed_reload_is_told_without_its_words(powerstrip_reloading):
    async with powerstrip_reloading({"health": True}) as served:
        served.path.write_text("plugins: [")
        with pytest.raises(ConfigError):
            await served.supervisor.reload()
        told = (await detailed(served))["last_reload"]

    assert (told["succeeded"], told["error"]) == (False, "ConfigError")
    assert "message" not in told


async def test_checks_of_stopped_plugins_are_forgotten(powerstrip_reloading):
    async with powerstrip_reloading({"health": True, "checked": True}, extra={"checked": Checked}) as served:
        await detailed(served)
        gone = weakref.ref(served.plugin("checked"))
        await served.reload({"health": True})
        await served.retired()
        await detailed(served)
        gc.collect()

        assert gone() is None
