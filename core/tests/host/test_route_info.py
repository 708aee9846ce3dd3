"""What plugins may know of routes: of all of them while building, of the one that will answer on each request."""

import pytest
from fastapi import APIRouter, Depends, WebSocket

from powerstrip import BuildError, Finding, Interceptor, Plugin, RateLimit, Routes, current_identity, hookimpl, public
from powerstrip.host.application import build_application

SHARED = RateLimit("9/minute")


def rooms():
    router = APIRouter(tags=["rooms"])

    @router.get("/rooms/{room_id}", dependencies=[Depends(public), Depends(RateLimit("5/minute"))])
    def read_room(room_id: int) -> int:
        return room_id

    @router.post("/rooms", dependencies=[Depends(public), Depends(SHARED)])
    def add_room() -> None: ...

    @router.delete("/rooms", dependencies=[Depends(current_identity), Depends(SHARED)])
    def empty() -> None: ...

    @router.websocket("/ws")
    async def talk(websocket: WebSocket, _limited: None = Depends(RateLimit("1/minute", scope="talks"))):
        await websocket.accept()
        await websocket.close()

    return router


class Seer(Interceptor):
    """Shows what it learns of the route."""

    def on_response(self, exchange):
        route = exchange.route
        exchange.response_headers["X-Route"] = "none" if route is None else f"{route.plugin} {route.path}"


def rooms_plugin(inspect=lambda routes: ()):
    class Rooms(Plugin):
        @hookimpl
        def register_routes(self):
            return [Routes(rooms())]

        @hookimpl
        def register_interceptors(self):
            return [Seer()]

        @hookimpl
        def inspect_routes(self, routes):
            return inspect(routes)

    return Rooms


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/v1/rooms/7", "hotel /api/v1/rooms/{room_id}"),
        ("HEAD", "/api/v1/rooms/7/", "hotel /api/v1/rooms/{room_id}"),
        ("POST", "/api/v1/rooms", "hotel /api/v1/rooms"),
        ("PUT", "/api/v1/rooms", "none"),
        ("GET", "/nowhere", "none"),
    ],
)
def test_an_interceptor_knows_the_route_that_will_answer(start_plugins, method, path, route):
    with start_plugins({"hotel": rooms_plugin()}) as client:
        assert client.request(method, path).headers["x-route"] == route


def test_a_path_that_is_changed_on_the_way_is_looked_up_again(start_plugins):
    class Rewriter(Interceptor):
        def on_request(self, exchange):
            assert exchange.route is None
            exchange.scope["path"] = "/api/v1/rooms/3"

    class Rewrites(Plugin):
        @hookimpl
        def register_interceptors(self):
            return [Rewriter()]

    with start_plugins({"hotel": rooms_plugin(), "rewrites": Rewrites}) as client:
        answer = client.get("/api/v1/old-rooms/3")

    assert (answer.json(), answer.headers["x-route"]) == (3, "hotel /api/v1/rooms/{room_id}")


def test_all_routes_can_be_inspected_with_owner_access_and_limits(compose_plugins):
    seen = {}

    def inspect(routes):
        seen.update({(route.path, route.methods): route for route in routes})

    build_application(compose_plugins({"hotel": rooms_plugin(inspect)}))

    room = seen["/api/v1/rooms/{room_id}", frozenset(("GET",))]
    assert (room.plugin, room.name, room.tags, str(room.access)) == ("hotel", "read_room", ("rooms",), "public")
    assert {limit.rate: name for limit, name in room.limits.items()} == {"5/minute": "GET /api/v1/rooms/{room_id}"}
    talk = seen["/api/v1/ws", None]
    assert (talk.is_websocket, list(talk.limits.values())) == (True, ["talks"])


def test_a_shared_limit_is_counted_under_the_first_route_that_states_it(compose_plugins):
    names = []

    def inspect(routes):
        names.extend(route.limits.get(SHARED) for route in routes)

    build_application(compose_plugins({"hotel": rooms_plugin(inspect)}))

    assert set(names) == {None, "POST /api/v1/rooms"}


def test_a_plugin_can_refuse_a_composition_for_its_routes(compose_plugins):
    wrong = Finding("hotel.full", "too many routes", hint="build another house")

    with pytest.raises(BuildError, match="too many routes") as caught:
        build_application(compose_plugins({"hotel": rooms_plugin(lambda routes: [wrong])}))

    (finding,) = caught.value.findings
    assert (finding.plugin, finding.position.line) == ("hotel", 2)


def test_a_warning_about_routes_is_for_a_strict_check(compose_plugins):
    doubtful = Finding("hotel.old", "old routes", level="warning")

    app = build_application(compose_plugins({"hotel": rooms_plugin(lambda routes: [doubtful])}))

    assert ("hotel.old", "hotel") in {
        (finding.code, finding.plugin) for finding in app.state.powerstrip.strict_findings()
    }
