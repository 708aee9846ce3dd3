"""A plan says what a reload would do, and does nothing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from core.tests.host.reloaded import Pool, Size, provider, recording, slow_plugin, user_of
from fastapi import APIRouter, Depends, Query
from pydantic import create_model

from powerstrip import (
    Plugin,
    PluginSettings,
    Routes,
    hookimpl,
    public,
    require,
)

pytestmark = pytest.mark.anyio


class TestPlans:
    async def test_a_plan_says_what_would_happen_and_does_nothing(self, served):
        steps: list[str] = []
        classes = {
            "gone": recording(steps),
            "kept": recording(steps),
            "changed": recording(steps),
            "slow": slow_plugin(),
        }
        reloading = await served(classes, "{gone: on, kept: on, changed: on}")
        reloading.write("{kept: on, changed: {size: 2}, slow: on}", server={"port": 9000})
        plan = (await reloading.supervisor.plan()).to_dict()

        assert steps == ["+changed", "+gone", "+kept"]
        assert {entry["plugin"]: (entry["change"], entry["reason"]) for entry in plan["plugins"]} == {
            "changed": ("restarted", "changed: size"),
            "gone": ("removed", "switched off"),
            "kept": ("kept", "nothing changed"),
            "slow": ("added", "switched on"),
        }
        assert "GET /quick" in plan["routes_gained"]
        assert plan["restart_needed"] == ["server.port"]
        assert reloading.generation.generation == 1

    async def test_a_plan_tells_what_changes_in_operations_and_schemas_that_stay(self, served):
        class Changing(Plugin[Size]):
            @hookimpl
            def register_routes(self):
                size = self.settings.size
                fields = {"name": (str, ...), **({"old": (int, 1)} if size == 1 else {"new": (int, ...)})}
                thing = create_model("Thing", **fields)
                router = APIRouter()

                @router.get("/things")
                async def things(limit: Annotated[int, Query(le=size * 100)] = 10) -> list[thing]:
                    return []

                @router.post("/things")
                async def add(body: thing) -> None:
                    pass

                router.add_api_route("/same", lambda: 1, methods=["GET"])
                dependencies = [Depends(public)] if size == 1 else [Depends(require(permission="things:delete"))]
                router.add_api_route("/things", lambda: 1, methods=["DELETE"], dependencies=dependencies)
                return [Routes(router)]

        reloading = await served({"changing": Changing, "kept": slow_plugin()})
        reloading.write("{changing: {size: 2}, kept: on}")
        plan = (await reloading.supervisor.plan()).to_dict()

        assert plan["api_changed"] == [
            "GET /api/v1/things: parameters",
            "DELETE /api/v1/things: responses, access",
            "schema Thing: gains new; loses old; requires new",
        ]
        assert plan["routes_changed"] == ["DELETE /api/v1/things"]
        assert (await reloading.supervisor.prepare()).plan.to_dict()["api_changed"] is None

    async def test_a_plan_foresees_what_looked_in_vain_for_a_service_that_a_newcomer_says_it_provides(self, served):
        class Stating(Plugin[PluginSettings]):
            @hookimpl
            @asynccontextmanager
            async def lifespan(self, services: Any) -> AsyncGenerator[tuple[Pool, None]]:
                yield Pool(), None

        classes = {"pool": Stating, "user": user_of([], Pool, wants=("pool",)), "other": user_of([], dict)}
        reloading = await served(classes, "{user: on, other: on}")
        reloading.write("{pool: on, user: on, other: on}")
        planned = {change.plugin: change.kind for change in (await reloading.supervisor.plan()).changes}

        assert planned == {"pool": "added", "user": "restarted", "other": "kept"}
        assert await reloading.reload() == planned

    async def test_a_plan_says_on_what_it_depends_where_a_newcomer_leaves_open_what_it_provides(self, served):
        classes = {"pool": provider([]), "user": user_of([], Pool, wants=("pool",)), "other": user_of([], dict)}
        reloading = await served(classes, "{user: on, other: on}")
        reloading.write("{pool: on, user: on, other: on}")
        reasons = {change.plugin: change.reason for change in (await reloading.supervisor.plan()).changes}

        assert reasons["user"] == "nothing changed; restarts if 'pool' provides what it looked for in vain"
        assert reasons["other"] == "nothing changed"
        assert (await reloading.reload())["user"] == "restarted"
