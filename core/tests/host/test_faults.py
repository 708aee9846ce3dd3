"""Plugins that fail in every way at every step: the message names them, and `skip` keeps the rest serving."""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, Depends, HTTPException
from starlette.routing import BaseRoute

from powerstrip import (
    BackgroundTask,
    Interceptor,
    Middleware,
    Plugin,
    PluginSettings,
    ProblemHandler,
    Routes,
    hookimpl,
    public,
)
from powerstrip.contract.errors import BuildError, CompositionError, StartError
from powerstrip.host.application import build_application
from powerstrip.host.generation import Generation

HOOKS = (
    "register_hookspecs",
    "register_routes",
    "register_interceptors",
    "register_middleware",
    "register_problem_handlers",
    "register_health_checks",
    "register_exports",
    "register_derived_routes",
    "register_tasks",
    "register_findings",
)


def plugin_of(**hooks):
    return type("Faulty", (Plugin,), {name: hookimpl(function) for name, function in hooks.items()})


def router_of(path, endpoint):
    router = APIRouter(dependencies=[Depends(public)])
    router.add_api_route(path, endpoint, name="endpoint")
    return router


def serving(path, endpoint):
    return plugin_of(register_routes=lambda _self: [Routes(router_of(path, endpoint))])


class Fine(Plugin[PluginSettings]):
    @hookimpl
    def register_routes(self):
        return [Routes(router_of("/fine", lambda: "fine"))]


class Watching(Interceptor):
    def on_response(self, exchange):
        exchange.response_headers["X-Watched"] = "yes"


WATCHER = plugin_of(register_interceptors=lambda _self: [Watching()])


def raise_(error):
    raise error


def interceptor_with(**attributes):
    return type("Odd", (Interceptor,), attributes)()


class RaisesWhenMade:
    def __init__(self, app):
        raise ValueError("can't be made")


def exits(_self):
    sys.exit(0)


async def is_async(_self):
    return []


BAD_HOOKS = [
    *(pytest.param(hook, lambda _self: raise_(ValueError("no")), id=f"{hook} raises") for hook in HOOKS),
    *(pytest.param(hook, exits, id=f"{hook} exits") for hook in HOOKS),
    *(pytest.param(hook, lambda _self: [object()], id=f"{hook} gives strangers") for hook in HOOKS),
    *(pytest.param(hook, lambda _self: 42, id=f"{hook} gives no list") for hook in HOOKS),
    pytest.param("inspect_routes", lambda _self, routes: routes[0].nothing, id="inspect_routes raises"),
    pytest.param("inspect_routes", lambda _self, routes: routes, id="inspect_routes gives strangers"),
    pytest.param("register_routes", lambda _self: [Routes(None)], id="no router"),
    pytest.param("register_routes", lambda _self: [Routes(APIRouter(), 1)], id="version of the wrong type"),
    pytest.param("register_routes", lambda _self: [Routes(APIRouter(routes=[BaseRoute()]))], id="odd route"),
    pytest.param("register_interceptors", lambda _self: [interceptor_with(stage="EDGE")], id="stage"),
    pytest.param("register_interceptors", lambda _self: [interceptor_with(reads="user")], id="reads"),
    pytest.param("register_middleware", lambda _self: [Middleware(None)], id="middleware of nothing"),
    pytest.param("register_middleware", lambda _self: [Middleware(RaisesWhenMade)], id="middleware raises when made"),
    pytest.param("register_middleware", lambda _self: [Middleware(lambda _app: None)], id="middleware gives nothing"),
]


@pytest.mark.parametrize(("hook", "function"), BAD_HOOKS)
def test_a_plugin_that_fails_in_a_hook_is_named_and_the_application_is_not_built(compose_plugins, hook, function):
    composition = compose_plugins({"faulty": plugin_of(**{hook: function}), "fine": Fine})

    with pytest.raises(BuildError, match="plugin 'faulty'") as caught:
        build_application(composition)

    assert {finding.plugin for finding in caught.value.findings} == {"faulty"}


@pytest.mark.parametrize(("hook", "function"), BAD_HOOKS)
def test_a_plugin_that_fails_in_a_hook_and_may_be_skipped_keeps_the_rest_serving(start_plugins, hook, function):
    classes = {"faulty": plugin_of(**{hook: function}), "fine": Fine}

    with start_plugins(classes, "plugins: {faulty: {on_failure: skip}, fine: on}") as client:
        assert client.get("/api/v1/fine").json() == "fine"
        assert list(client.app.state.powerstrip.composition.skipped) == ["faulty"]


def test_routes_of_a_plugin_whose_middleware_can_not_be_made_answer_503(start_plugins):
    faulty = plugin_of(
        register_routes=lambda _self: [Routes(router_of("/lost", lambda: None))],
        register_middleware=lambda _self: [Middleware(RaisesWhenMade)],
    )

    with start_plugins({"faulty": faulty}, "plugins: {faulty: {on_failure: skip}}") as client:
        answer = client.get("/api/v1/lost")

    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "PluginUnavailable")


@pytest.mark.parametrize("raised", [SystemExit(0), asyncio.CancelledError(), ValueError("no")], ids=repr)
def test_whatever_a_constructor_raises_is_a_finding(compose_plugins, raised):
    faulty = type("Faulty", (Plugin,), {"__init__": lambda *_: raise_(raised)})

    with pytest.raises(CompositionError, match="plugin 'faulty' can't be made"):
        compose_plugins({"faulty": faulty})


@asynccontextmanager
async def exits_at_start(_self, services):
    sys.exit(0)
    yield


@asynccontextmanager
async def cancels_itself(_self, services):
    raise asyncio.CancelledError
    yield


@asynccontextmanager
async def never_yields(_self, services):
    return
    yield


async def is_no_context_manager(_self, services):
    yield


BAD_LIFESPANS = [exits_at_start, cancels_itself, never_yields, is_no_context_manager, lambda _self, services: None]


@pytest.mark.parametrize("lifespan", BAD_LIFESPANS, ids=lambda function: function.__name__)
def test_a_plugin_that_fails_to_start_is_named(start_plugins, lifespan):
    with (
        pytest.raises(StartError, match="plugin 'faulty' failed at start"),
        start_plugins({"faulty": plugin_of(lifespan=lifespan)}),
    ):
        pass


@pytest.mark.parametrize("raised", [SystemExit(0), asyncio.CancelledError(), ValueError("no")], ids=repr)
async def test_whatever_a_plugin_raises_at_stop_is_logged_with_its_name_and_stops_nobody(
    compose_plugins, caplog, raised
):
    @asynccontextmanager
    async def fails_at_stop(_self, services):
        yield
        raise raised

    generation = Generation(1, compose_plugins({"faulty": plugin_of(lifespan=fails_at_stop)}))
    await generation.start()

    await generation.stop()

    assert [(record.message, record.plugin) for record in caplog.records] == [("plugin failed to stop", "faulty")]


@pytest.mark.parametrize("raised", [SystemExit(0), asyncio.CancelledError(), ValueError("no")], ids=repr)
async def test_whatever_a_background_task_raises_is_a_crash_that_is_logged(compose_plugins, caplog, raised):
    crashed = asyncio.Event()

    async def crash(_services):
        crashed.set()
        raise raised

    faulty = plugin_of(register_tasks=lambda _self: [BackgroundTask("crashing", crash)])
    generation = Generation(1, compose_plugins({"faulty": faulty}))
    await generation.start()
    await crashed.wait()
    await generation.stop()

    assert [(record.message, record.plugin) for record in caplog.records] == [("background task crashed", "faulty")]


async def exits_in_a_request():
    sys.exit(0)


async def cancels_the_request():
    raise asyncio.CancelledError


async def answers_with_a_header_of_other_alphabets():
    raise HTTPException(400, headers={"X-Price": "5 €"})


async def answers_with_what_has_no_json():
    raise HTTPException(400, detail={("a", "tuple"): 1})


BAD_ENDPOINTS = [
    exits_in_a_request,
    cancels_the_request,
    answers_with_a_header_of_other_alphabets,
    answers_with_what_has_no_json,
]


@pytest.mark.parametrize("endpoint", BAD_ENDPOINTS, ids=lambda function: function.__name__)
def test_whatever_a_request_ends_in_is_a_problem_that_passes_the_interceptors(start_plugins, endpoint):
    with start_plugins({"faulty": serving("/broken", endpoint), "watcher": WATCHER}) as client:
        answer = client.get("/api/v1/broken")

    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "InternalServerError")
    assert answer.headers["X-Watched"] == "yes"


def test_half_a_character_in_a_message_does_not_take_the_answer_away(start_plugins):
    async def endpoint():
        raise HTTPException(400, "a \ud800 surrogate")

    with start_plugins({"faulty": serving("/broken", endpoint), "watcher": WATCHER}) as client:
        assert client.get("/api/v1/broken").json()["error"]["message"] == "a ? surrogate"


@pytest.mark.parametrize(
    "handle", [lambda _error: raise_(ValueError("again")), lambda _error: None], ids=["raises", "gives nothing"]
)
def test_a_problem_handler_that_fails_is_answered_500_and_its_plugin_is_named(start_plugins, caplog, handle):
    async def endpoint():
        raise LookupError

    handling = plugin_of(register_problem_handlers=lambda _self: [ProblemHandler(LookupError, handle)])

    with start_plugins({"a": serving("/broken", endpoint), "handling": handling, "watcher": WATCHER}) as client:
        answer = client.get("/api/v1/broken")

    assert (answer.status_code, answer.headers["X-Watched"]) == (500, "yes")
    assert [record.plugin for record in caplog.records if record.message == "unexpected exception"] == ["handling"]


async def test_a_cancellation_from_outside_is_no_problem_of_the_request(compose_plugins):
    entered, sent = asyncio.Event(), []

    async def endpoint():
        entered.set()
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    application = build_application(compose_plugins({"slow": serving("/slow", endpoint)}))
    scope = {"type": "http", "method": "GET", "path": "/api/v1/slow", "headers": [], "query_string": b""}
    request = asyncio.create_task(application(scope, receive, send))
    await entered.wait()
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request
    assert sent == []


def test_a_hook_that_nobody_opens_is_named_with_the_one_that_was_meant(compose_plugins):
    composition = compose_plugins({"faulty": plugin_of(register_routse=lambda _self: [])})

    with pytest.raises(BuildError, match=r"implements 'register_routse', which is no hook(.|\n)*'register_routes'"):
        build_application(composition)


def test_a_hook_of_a_plugin_that_is_off_may_be_implemented_as_optional(compose_plugins):
    def register_anything(_self):
        return []

    plugin = type("Careful", (Plugin,), {"register_anything": hookimpl(register_anything, optionalhook=True)})

    build_application(compose_plugins({"careful": plugin}))
