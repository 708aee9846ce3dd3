"""Which route answers, whatever the order of plugins, and with FastAPI's semantics."""

from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import APIRouter, Depends, Request, WebSocket
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from powerstrip import BuildError, Plugin, PluginSettings, Routes, hookimpl, public
from powerstrip.host.application import build_application


def plugin_with(*routers: Any) -> type[Plugin[PluginSettings]]:
    class Routed(Plugin[PluginSettings]):
        @hookimpl
        def register_routes(self):
            return [entry if isinstance(entry, Routes) else Routes(entry) for entry in routers]

    return Routed


def router_of(**endpoints: str) -> APIRouter:
    """A router whose GET endpoints answer with their own name: `router_of(export="/users/export")`."""
    router = APIRouter(dependencies=[Depends(public)])
    for name, path in endpoints.items():

        def endpoint(request: Request, answer: str = name) -> dict[str, Any]:
            return {"answer": answer, "params": {key: str(value) for key, value in request.path_params.items()}}

        router.add_api_route(path, endpoint, name=name)
    return router


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/users/export", "literal"),
        ("/users/a.json", "mixed"),
        ("/users/12", "typed"),
        ("/users/anna", "plain"),
        ("/users/anna/deep/down", "rest"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_most_specific_route_answers_whatever_the_order_of_plugins(start_plugins, path, answer, turned):
    routers = [
        router_of(rest="/users/{rest:path}"),
        router_of(plain="/users/{name}"),
        router_of(typed="/users/{number:int}"),
        router_of(mixed="/users/{name}.json"),
        router_of(literal="/users/export"),
    ]
    names = ["a", "b", "c", "d", "e"]
    classes = {
        name: plugin_with(router) for name, router in zip(names, routers[::-1] if turned else routers, strict=True)
    }

    with start_plugins(classes) as client:
        assert client.get(f"/api/v1{path}").json()["answer"] == answer


def test_a_less_specific_route_answers_a_method_that_the_more_specific_one_has_not(start_plugins):
    exporting = APIRouter()
    exporting.add_api_route("/users/export", lambda: {"answer": "export"}, methods=["POST"], name="export")

    with start_plugins({"a": plugin_with(exporting), "b": plugin_with(router_of(one="/users/{name}"))}) as client:
        assert client.get("/api/v1/users/export").json()["answer"] == "one"
        assert client.post("/api/v1/users/export").json()["answer"] == "export"


def test_a_parameter_takes_the_other_methods_of_a_literal_path_only_if_its_type_does(start_plugins):
    """`/users/me` is no user whose id is a UUID, whatever is asked of it."""
    router = APIRouter(dependencies=[Depends(public)])

    @router.get("/users/me")
    def me() -> str:
        return "me"

    @router.delete("/users/{user_id}")
    def delete(user_id: UUID) -> str:
        return str(user_id)

    @router.delete("/tags/{name}")
    def untag(name: str) -> str:
        return name

    with start_plugins({"a": plugin_with(router), "b": plugin_with(router_of(tag="/tags/new"))}) as client:
        refused = client.delete("/api/v1/users/me")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
        assert client.delete("/api/v1/users/you").status_code == 422
        assert client.delete("/api/v1/users/018f3b1e-7a00-7000-8000-000000000001").status_code == 200
        assert client.delete("/api/v1/tags/new").json() == "new"


def test_a_wrong_method_is_answered_405_with_all_methods_that_would_do(start_plugins):
    posting = APIRouter()
    posting.add_api_route("/things", lambda: None, methods=["POST"], name="post")

    with start_plugins({"a": plugin_with(router_of(get="/things")), "b": plugin_with(posting)}) as client:
        answer = client.delete("/api/v1/things")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json()["error"]["type"] == "MethodNotAllowed"


@pytest.mark.parametrize("declared", ["/things", "/things/", "/things/{name}", "/things/{name}/"])
def test_a_trailing_slash_is_the_same_resource_without_a_redirect(start_plugins, declared):
    path = "/api/v1" + declared.rstrip("/").replace("{name}", "lamp")

    with start_plugins({"a": plugin_with(router_of(thing=declared))}) as client:
        for asked in (path, path + "/"):
            assert client.get(asked, follow_redirects=False).status_code == 200


def test_two_slashes_are_not_one(start_plugins):
    with start_plugins({"a": plugin_with(router_of(thing="/things"))}) as client:
        assert client.get("/api/v1/things//").status_code == 404
        assert client.get("/api/v1//things").status_code == 404


def test_head_is_answered_by_the_get_route_without_a_body(start_plugins):
    with start_plugins({"a": plugin_with(router_of(thing="/things"))}) as client:
        answer = client.head("/api/v1/things")

    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_an_explicit_head_route_comes_before_the_implied_one(start_plugins):
    router = router_of(thing="/things/{name}")
    router.add_api_route(
        "/things/{name}", lambda: PlainTextResponse(headers={"x-own": "yes"}), methods=["HEAD"], name="head"
    )

    with start_plugins({"a": plugin_with(router)}) as client:
        assert client.head("/api/v1/things/lamp").headers["x-own"] == "yes"


def test_convertors_convert_and_a_value_that_does_not_fit_is_not_found(start_plugins):
    router = APIRouter()

    @router.get("/things/{thing_id:uuid}")
    def thing(thing_id: UUID) -> str:
        return thing_id.hex

    with start_plugins({"a": plugin_with(router)}) as client:
        assert client.get(f"/api/v1/things/{UUID(int=7)}").json() == UUID(int=7).hex
        assert client.get("/api/v1/things/seven").status_code == 404


def test_the_matched_route_and_its_whole_template_stand_in_the_scope(start_plugins):
    router = APIRouter(prefix="/things")

    @router.get("/{name}/parts")
    def parts(name: str, request: Request) -> list[str]:
        return [request.scope["route"].path, str(request.url_for("parts", name=name))]

    with start_plugins({"a": plugin_with(router)}) as client:
        template, url = client.get("/api/v1/things/lamp/parts").json()

    assert template == "/api/v1/things/{name}/parts"
    assert url == "http://testserver/api/v1/things/lamp/parts"


def test_nested_routers_keep_their_prefixes_tags_and_dependencies(start_plugins):
    def refuse() -> None:
        raise PermissionError

    inner = router_of(part="/part")
    middle = APIRouter(prefix="/middle", tags=["middle"], dependencies=[Depends(public)])
    middle.include_router(inner, prefix="/inner")
    outer = APIRouter(prefix="/outer")
    outer.include_router(middle)

    with start_plugins({"a": plugin_with(outer)}, "app: {docs: true}\nplugins: {a: on}\n") as client:
        assert client.get("/api/v1/outer/middle/inner/part").json()["answer"] == "part"
        operation = client.get("/openapi.json").json()["paths"]["/api/v1/outer/middle/inner/part"]["get"]

    assert operation["tags"] == ["middle"]
    assert operation["operationId"] == "middle-part"


def test_versions_prefixes_and_the_root_decide_where_a_router_is_mounted(start_plugins):
    routed = plugin_with(
        Routes(router_of(one="/x")),
        Routes(router_of(two="/x"), version="v2"),
        Routes(router_of(zero="/x"), version=None),
    )
    text = "api: {prefix: /rest}\nplugins:\n  a: {prefix: /mine}\n"

    with start_plugins({"a": routed}, text) as client:
        assert client.get("/rest/v1/mine/x").json()["answer"] == "one"
        assert client.get("/rest/v2/mine/x").json()["answer"] == "two"
        assert client.get("/mine/x").json()["answer"] == "zero"


def test_mounts_and_plain_routes_are_served(start_plugins):
    async def inside(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.scope["root_path"] + " " + request.url.path)

    router = router_of(near="/files/near")
    router.routes.append(Mount("/files", routes=[Route("/{name}", inside), Route("/", inside)]))
    router.routes.append(Route("/plain", inside))

    with start_plugins({"a": plugin_with(router)}) as client:
        assert client.get("/api/v1/files/near").json()["answer"] == "near"
        assert client.get("/api/v1/files/far").text == "/api/v1/files /api/v1/files/far"
        assert client.get("/api/v1/files", follow_redirects=False).status_code == 200
        assert client.get("/api/v1/plain").status_code == 200
        assert client.get("/api/v1/files/far/away").status_code == 404


def test_websockets_and_http_live_on_one_path(start_plugins):
    router = router_of(talk="/talk")

    @router.websocket("/talk")
    async def talk(websocket: WebSocket, name: str = "you"):
        await websocket.accept()
        await websocket.send_text(f"hello {name}")
        await websocket.close()

    with start_plugins({"a": plugin_with(router)}) as client:
        assert client.get("/api/v1/talk").json()["answer"] == "talk"
        with client.websocket_connect("/api/v1/talk?name=ann") as socket:
            assert socket.receive_text() == "hello ann"


def test_dependency_overrides_of_the_application_reach_plugins(start_plugins):
    def setting() -> str:
        return "real"

    router = APIRouter()

    @router.get("/setting")
    def read(value: Annotated[str, Depends(setting)]) -> str:
        return value

    with start_plugins({"a": plugin_with(router)}) as client:
        client.app.dependency_overrides[setting] = lambda: "fake"
        assert client.get("/api/v1/setting").json() == "fake"


def test_one_router_object_serves_two_applications(start_plugins):
    router = router_of(thing="/things")

    with (
        start_plugins({"a": plugin_with(router)}) as one,
        start_plugins({"a": plugin_with(router)}, "api: {prefix: ''}\nplugins: {a: on}\n") as two,
    ):
        assert one.get("/api/v1/things").status_code == 200
        assert two.get("/v1/things").status_code == 200
        assert one.get("/api/v1/things").status_code == 200


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("/users/{id}", "/users/{name}"),
        ("/users", "/users/"),
        ("/users/{id:int}/x", "/users/{number:int}/x"),
        ("/f/{a:path}", "/f/{b:path}"),
    ],
)
def test_two_routes_of_one_shape_are_a_finding_with_both_owners_and_lines(compose_plugins, one, two):
    composition = compose_plugins({"a": plugin_with(router_of(first=one)), "b": plugin_with(router_of(second=two))})

    with pytest.raises(BuildError) as caught:
        build_application(composition)

    (finding,) = caught.value.findings
    assert finding.code == "route.conflict"
    assert "plugin 'b'" in finding.message
    assert "plugin 'a'" in finding.message
    assert finding.message.count("test_routing.py:") == 2
    assert finding.position is not None
    assert finding.position.line == 3


def test_a_route_that_takes_a_path_of_another_plugin_is_a_warning(compose_plugins):
    composition = compose_plugins(
        {"a": plugin_with(router_of(export="/users/export")), "b": plugin_with(router_of(one="/users/{name}"))}
    )

    findings = build_application(composition).state.powerstrip.strict_findings()

    assert [(finding.code, finding.level) for finding in findings] == [("route.shadow", "warning")]
    assert "/users/export of plugin 'a'" in findings[0].message
    assert "/users/{name} of plugin 'b'" in findings[0].message


def test_a_mount_at_the_root_takes_what_nothing_else_takes(start_plugins):
    async def files(scope, receive, send):
        await PlainTextResponse(f"file {scope['path']}")(scope, receive, send)

    site = Routes(APIRouter(routes=[Mount("/", files)]), version=None)

    with start_plugins({"a": plugin_with(site), "b": plugin_with(router_of(thing="/thing"))}) as client:
        assert client.get("/style/main.css").text == "file /style/main.css"
        assert client.get("/").text == "file /"
        assert client.get("/api/v1/thing").json()["answer"] == "thing"


@pytest.mark.parametrize(
    ("value", "answer"),
    [("1", "integer"), ("1.5", "number"), ("12345678901234567890123456789012", "id"), ("x", "text")],
)
def test_the_narrowest_convertor_answers(start_plugins, value, answer):
    router = router_of(text="/of/{x}", number="/of/{x:float}", integer="/of/{x:int}", id="/of/{x:uuid}")

    with start_plugins({"a": plugin_with(router)}) as client:
        assert client.get(f"/api/v1/of/{value}").json()["answer"] == answer
