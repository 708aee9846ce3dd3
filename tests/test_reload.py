"""The plugins through reloads, together: what is switched next to them they do not notice."""

import gc
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from powerstrip.testing import Reloading, ReloadingFactory
from powerstrip_users.permissions import Permissions

pytestmark = pytest.mark.anyio

OURS = ("powerstrip", "fastapi", "starlette", "pydantic", "sqlalchemy", "alembic")
SWITCHED = ("health", "tracing", "edge", "ratelimit", "exports", "greeter", "realtime", "social")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, Any]:
    on = dict.fromkeys(["health", "tracing", "edge", "realtime", "ratelimit", "exports", "greeter", "social"], True)
    return {
        **on,
        "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/data.db"},
        "users": {"secret_key": "not a secret, but long enough for one", "avatars": {"folder": str(tmp_path)}},
    }


@pytest.fixture
async def served(powerstrip_reloading: ReloadingFactory, plugins: dict[str, Any]) -> AsyncGenerator[Reloading]:
    async with powerstrip_reloading(plugins, server={"drain_timeout": 1, "stop_timeout": 5}) as reloading:
        yield reloading


async def test_switching_one_plugin_restarts_no_other(served: Reloading, plugins: dict[str, Any]) -> None:
    for name in SWITCHED:
        for change, sections in (("removed", without(plugins, name)), ("added", plugins)):
            changes = await served.reload(sections)
            gone_or_come = {plugin: kind for plugin, kind in changes.items() if kind not in ("kept", "reconfigured")}

            assert gone_or_come == {name: change}


async def test_a_plugin_with_tables_is_switched_on_beside_a_database_that_stays(
    powerstrip_reloading: ReloadingFactory, plugins: dict[str, Any]
) -> None:
    async with powerstrip_reloading(without(plugins, "social")) as reloading:
        database = reloading.plugin("database")
        assert await reloading.status("/api/v1/posts") == 404
        await reloading.reload(plugins)

        assert reloading.plugin("database") is database
        assert await reloading.status("/api/v1/posts") == 200
        declared = reloading.generation.services[Permissions].declared
        assert "social:moderate" in {permission.name for permission in declared}


async def test_a_rate_that_changes_leaves_the_limiter_and_its_counts(
    served: Reloading, plugins: dict[str, Any]
) -> None:
    await served.reload({**plugins, "ratelimit": {"default": "3/hour"}})
    before = [await served.status("/api/v1/posts") for _ in range(2)]
    changes = await served.reload({**plugins, "ratelimit": {"default": "2/hour"}})

    assert changes["ratelimit"] == "reconfigured"
    assert before == [200, 200]
    assert await served.status("/api/v1/posts") == 429


async def test_no_kind_of_object_gets_more_with_each_reload(served: Reloading, plugins: dict[str, Any]) -> None:
    switched = ("social", "realtime", "exports")

    async def objects_after_a_round() -> Counter[str]:
        for name in switched:
            await served.reload(without(plugins, name))
            await served.reload(plugins)
        await served.retired()
        gc.collect()
        kinds = (type(thing) for thing in gc.get_objects())
        return Counter(
            f"{kind.__module__}.{kind.__qualname__}" for kind in kinds if str(kind.__module__).startswith(OURS)
        )

    await objects_after_a_round()  # what is made once is made
    first, second, third = [await objects_after_a_round() for _ in range(3)]
    growing = [kind for kind in third if min(third[kind] - second[kind], second[kind] - first[kind]) >= len(switched)]

    assert growing == []


def without(plugins: dict[str, Any], name: str) -> dict[str, Any]:
    return {plugin: section for plugin, section in plugins.items() if plugin != name}
