"""What interceptors and middleware see, in which order, and what becomes of exceptions."""

import asyncio
from typing import Any

import pytest
from fastapi import APIRouter, Request, WebSocket
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from powerstrip import (
    BuildError,
    Exchange,
    Interceptor,
    Middleware,
    Plugin,
    PluginSettings,
    Routes,
    Stage,
    Unauthorized,
    hookimpl,
)
from powerstrip.host.application import build_application


def plugin_with(*layers: Any, router: APIRouter | None = None) -> type[Plugin[PluginSettings]]:
    class Layered(Plugin[PluginSettings]):
        @hookimpl
        def register_routes(self):
            return [Routes(router, version=None)] if router else []

        @hookimpl
        def register_interceptors(self):
            return [layer for layer in layers if isinstance(layer, Interceptor)]

        @hookimpl
        def register_middleware(self):
            return [layer for layer in layers if isinstance(layer, Middleware)]

    return Layered


class Note(Interceptor):
    """Writes its name down, on the way in and on the way out."""

    def __init__(self, name: str, stage: Stage = Stage.CONTENT) -> None:
        self.name = name
        self.stage = stage  # type: ignore[misc]

    def on_request(self, exchange: Exchange) -> None:
        exchange.scope["state"].setdefault("in", []).append(self.name)

    def on_response(self, exchange: Exchange) -> None:
        exchange.response_headers.append("x-out", self.name)


class AsyncNote(Note):
    async def on_request(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        super().on_request(exchange)

    async def on_response(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        super().on_response(exchange)


class NoteMiddleware:
    def __init__(self, app: Any, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"].setdefault("in", []).append(self.name)
        await self.app(scope, receive, send)


def things() -> APIRouter:
    router = APIRouter()

    @router.get("/in")
    def seen(request: Request) -> list[str]:
        return request.state["in"]

    @router.get("/boom")
    def boom() -> None:
        raise RuntimeError("the secret detail")

    @router.get("/stream")
    def stream(fail: bool = False) -> StreamingResponse:
        def lines():
            yield "one\n"
            if fail:
                raise RuntimeError("half-way")
            yield "two\n"

        return StreamingResponse(lines())

    @router.websocket("/ws")
    async def ws(websocket: WebSocket, fail: str = ""):
        if fail == "before":
            raise Unauthorized
        await websocket.accept()
        if fail == "after":
            raise RuntimeError
        await websocket.send_json(websocket.state["in"])
        await websocket.close()

    return router


def test_stages_and_then_composition_order_decide_the_order(start_plugins):
    classes = {
        "b": plugin_with(Note("b-guard", Stage.GUARD), Note("b-observe", Stage.OBSERVE), router=things()),
        "a": plugin_with(Note("a-content"), Note("a-guard", Stage.GUARD), AsyncNote("a-edge", Stage.EDGE)),
        "c": plugin_with(Middleware(NoteMiddleware, Stage.EDGE, name="c-edge-middleware")),
    }

    with start_plugins(classes) as client:
        answer = client.get("/in")

    order = ["b-observe", "a-edge", "c-edge-middleware", "a-guard", "b-guard", "a-content"]
    assert answer.json() == order
    outwards = [name for name in reversed(order) if "middleware" not in name]
    assert answer.headers.get_list("x-out") == outwards


@pytest.mark.parametrize("note", [Note, AsyncNote])
def test_an_early_answer_passes_out_through_those_that_saw_the_request(start_plugins, note):
    class Answer(note):
        def on_request(self, exchange: Exchange) -> PlainTextResponse:
            return PlainTextResponse("early", 418)

    layers = (note("outer"), Answer("answering"), note("inner"))

    with start_plugins({"a": plugin_with(*layers, router=things())}) as client:
        answer = client.get("/in")

    assert (answer.status_code, answer.text) == (418, "early")
    assert answer.headers.get_list("x-out") == ["answering", "outer"]


@pytest.mark.parametrize("note", [Note, AsyncNote])
def test_an_exception_in_on_request_becomes_a_problem_that_only_the_outer_ones_see(start_plugins, note):
    class Refuse(note):
        def on_request(self, exchange: Exchange) -> None:
            raise Unauthorized("no")

    layers = (note("outer"), Refuse("refusing"), note("inner"))

    with start_plugins({"a": plugin_with(*layers, router=things())}) as client:
        answer = client.get("/in")

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "Unauthorized"
    assert answer.headers.get_list("x-out") == ["outer"]


def test_an_interceptor_without_on_request_counts_as_passed(start_plugins):
    class OnlyOut(Interceptor):
        def on_response(self, exchange: Exchange) -> None:
            exchange.response_headers.append("x-out", "only-out")

    class Refuse(Note):
        def on_request(self, exchange: Exchange) -> None:
            raise Unauthorized("no")

    with start_plugins({"a": plugin_with(OnlyOut(), Refuse("refusing"), router=things())}) as client:
        assert client.get("/in").headers.get_list("x-out") == ["only-out"]


@pytest.mark.parametrize("path", ["/boom", "/nowhere"])
def test_errors_pass_every_on_response(start_plugins, path):
    with start_plugins({"a": plugin_with(Note("one"), AsyncNote("two"), router=things())}) as client:
        answer = client.get(path)

    assert answer.headers.get_list("x-out") == ["two", "one"]


@pytest.mark.parametrize("note", [Note, AsyncNote])
def test_a_failing_on_response_gives_500_and_keeps_the_headers_of_the_others(start_plugins, note):
    class Fail(note):
        def on_response(self, exchange: Exchange) -> None:
            raise RuntimeError("on_response")

    with start_plugins({"a": plugin_with(note("outer"), Fail("failing"), router=things())}) as client:
        answer = client.get("/in")

    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "InternalServerError"
    assert answer.headers.get_list("x-out") == ["outer"]


def test_streams_pass_through_chunk_by_chunk(start_plugins):
    with start_plugins({"a": plugin_with(Note("one"), router=things())}) as client:
        assert client.get("/stream").text == "one\ntwo\n"


def test_a_failure_half_way_breaks_the_connection_instead_of_ending_the_answer(compose_plugins):
    application = build_application(compose_plugins({"a": plugin_with(Note("one"), router=things())}))
    sent: list[dict[str, Any]] = []

    async def drive() -> None:
        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/stream", "query_string": b"fail=1", "headers": []}
        await application({**scope, "asgi": {"spec_version": "2.4"}}, receive, send)

    with pytest.raises(RuntimeError, match="half-way"):
        asyncio.run(drive())

    assert [message.get("more_body") for message in sent] == [None, True]


def test_a_websocket_handshake_passes_on_request(start_plugins):
    layers = (Note("one"), AsyncNote("two"))

    with (
        start_plugins({"a": plugin_with(*layers, router=things())}) as client,
        client.websocket_connect("/ws") as socket,
    ):
        assert socket.receive_json() == ["one", "two"]


def test_a_refused_handshake_is_a_real_http_answer_with_headers(start_plugins):
    with start_plugins({"a": plugin_with(Note("one"), router=things())}) as client:
        for path, status in (("/ws?fail=before", 401), ("/nowhere", 404)):
            with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(path):
                raise AssertionError("the handshake was accepted")

            assert refused.value.status_code == status
            assert refused.value.json()["error"]["status_code"] == status
            assert refused.value.headers["x-out"] == "one"


def test_an_interceptor_may_refuse_a_handshake(start_plugins):
    class Refuse(Note):
        def on_request(self, exchange: Exchange) -> PlainTextResponse:
            return PlainTextResponse("no", 403)

    with (
        start_plugins({"a": plugin_with(Note("outer"), Refuse("refusing"), router=things())}) as client,
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/ws"),
    ):
        raise AssertionError("the handshake was accepted")

    assert (refused.value.status_code, refused.value.text) == (403, "no")


def test_a_crash_after_the_handshake_closes_with_1011(start_plugins):
    with (
        start_plugins({"a": plugin_with(router=things())}) as client,
        client.websocket_connect("/ws?fail=after") as socket,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        socket.receive_json()

    assert (closed.value.code, closed.value.reason) == (1011, "InternalServerError")


def test_base_http_middleware_is_refused(compose_plugins):
    class Slow(BaseHTTPMiddleware):
        pass

    with pytest.raises(BuildError) as caught:
        build_application(compose_plugins({"a": plugin_with(Middleware(Slow))}))

    assert [finding.code for finding in caught.value.findings] == ["middleware.base-http"]
    assert "Slow" in caught.value.findings[0].message


class Reader(Interceptor):
    stage = Stage.EDGE
    reads = frozenset({"identity"})

    def on_request(self, exchange: Exchange) -> None:
        pass


class Writer(Interceptor):
    stage = Stage.IDENTIFY
    writes = frozenset({"identity"})

    def on_request(self, exchange: Exchange) -> None:
        pass


class LateReader(Reader):
    stage = Stage.GUARD


def test_a_reader_outside_its_writer_is_a_finding_that_names_both(compose_plugins):
    with pytest.raises(BuildError) as caught:
        build_application(compose_plugins({"limits": plugin_with(Reader()), "users": plugin_with(Writer())}))

    (finding,) = caught.value.findings
    assert finding.code == "interceptor.order"
    assert finding.plugin == "limits"
    for word in ("Reader", "stage EDGE", "'identity'", "Writer", "'users'", "stage IDENTIFY"):
        assert word in finding.message
    assert finding.hint is not None
    assert "after IDENTIFY" in finding.hint


def test_a_reader_inside_its_writer_and_one_without_any_writer_are_fine(compose_plugins):
    build_application(compose_plugins({"limits": plugin_with(LateReader()), "users": plugin_with(Writer())}))
    build_application(compose_plugins({"limits": plugin_with(LateReader())}))


def test_state_of_the_exchange_is_the_state_of_the_request(start_plugins):
    class Mark(Interceptor):
        def on_request(self, exchange: Exchange) -> None:
            exchange.state.mark = "set"

        def on_response(self, exchange: Exchange) -> None:
            exchange.response_headers["x-mark"] = exchange.state.mark

    router = APIRouter()

    @router.get("/mark")
    def mark(request: Request) -> str:
        seen = request.state.mark
        request.state.mark = "changed"
        return seen

    with start_plugins({"a": plugin_with(Mark(), router=router)}) as client:
        answer = client.get("/mark")

    assert answer.json() == "set"
    assert answer.headers["x-mark"] == "changed"
