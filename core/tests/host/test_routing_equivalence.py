"""The route index answers as FastAPI does when somebody has put all routes in the right order by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from powerstrip import Plugin, PluginSettings, Routes, hookimpl
from powerstrip.host.application import build_application

Template = tuple[str, ...]
Declared = list[tuple[Template, set[str]]]

METHODS = ("GET", "POST", "PUT", "DELETE")
LITERALS = ("a", "b", "1", "a.json", "ä")
MIXED = ("<str>.json", "v<str>", "<int>-x", "a<int>")
PARAMETERS = ("<str>", "<int>", "<float>", "<uuid>")
TAILS: tuple[Template, ...] = ((), (), ("<path>",), ("x-<path>",), ("<path>", "end"))
NUMBERS = ("7", "7.5", "7-x", "a7", "12345678901234567890123456789012", "c5c1fa0e-9a3c-4a42-b3f5-0f6f6c2f4c11")
VALUES = (*LITERALS, *NUMBERS, "v1", "v", "x.json", ".json", "x-", "x-y", "end", "a%2Fb", "%20", "%00", "", "..")

inner_segments = st.lists(st.sampled_from([*LITERALS, *MIXED, *PARAMETERS]), max_size=3)
templates = st.builds(lambda inner, tail: (*inner, *tail), inner_segments, st.sampled_from(TAILS))
declarations = st.lists(st.tuples(templates, st.sets(st.sampled_from(METHODS), min_size=1)), min_size=1, max_size=10)
paths = st.lists(st.sampled_from(VALUES), max_size=4).map(lambda values: "/" + "/".join(values).rstrip("/"))
requests = st.lists(st.tuples(st.sampled_from((*METHODS, "PATCH")), paths), min_size=1, max_size=12)


def path_of(template: Template) -> str:
    """`("a", "<int>")` as FastAPI wants it: `/a/{p1:int}`."""
    named = (segment.replace("<", f"{{p{at}:").replace(">", "}") for at, segment in enumerate(template))
    return "/" + "/".join(named)


def rank(template: Template) -> Iterator[tuple[int, int, str]]:
    """What stands before what: literal, mixed, uuid, int, float, text; paths of any depth last, the longest first."""
    for at, segment in enumerate(template):
        rest = "/".join(template[at:])
        if "<path>" in segment:
            yield (3, -len(rest), rest)
            return
        if segment in PARAMETERS:
            yield (2, ("<uuid>", "<int>", "<float>", "<str>").index(segment), "")
        else:
            literal = segment.partition("<")[0] + segment.partition(">")[2]
            yield (1, -len(literal), segment) if "<" in segment else (0, 0, segment)


def without_conflicts(declared: Declared) -> Declared:
    """Without the methods that an earlier route of that shape has: those are findings, not routes."""
    taken: set[tuple[Template, str]] = set()
    kept = []
    for template, methods in declared:
        free = {method for method in methods if (template, method) not in taken}
        taken |= {(template, method) for method in free}
        if free:
            kept.append((template, free))
    return kept


def add_route(router: Any, path: str, template: Template, methods: set[str]) -> None:
    async def endpoint(request: Request) -> dict[str, Any]:
        found = {name: repr(value) for name, value in request.path_params.items() if value != ""}
        return {"route": [template, sorted(methods)], "params": found}

    router.add_api_route(path, endpoint, methods=sorted(methods), name="endpoint")


def fastapi_of(declared: Declared) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    for template, methods in sorted(declared, key=lambda entry: list(rank(entry[0]))):
        add_route(app, path_of(template), template, methods)
        if len(template) > 1 and template[-1] == "<path>":  # `/a` is the same resource as `/a/`
            add_route(app, path_of(template[:-1]), template, methods)
    return app


def plugins_of(declared: Declared) -> dict[str, type[Plugin[PluginSettings]]]:
    """The same routes, dealt out to three plugins."""
    return {name: plugin_with(declared[at::3]) for at, name in enumerate(("one", "three", "two"))}


def plugin_with(declared: Declared) -> type[Plugin[PluginSettings]]:
    class Routed(Plugin[PluginSettings]):
        @hookimpl
        def register_routes(self):
            router = APIRouter()
            for template, methods in declared:
                add_route(router, path_of(template), template, methods)
            return [Routes(router, version=None)]

    return Routed


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(declared=declarations.map(without_conflicts), asked=requests)
def test_random_routes_answer_random_requests_as_fastapi_does(compose_plugins, declared, asked):
    ordered = TestClient(fastapi_of(declared))
    composed = TestClient(build_application(compose_plugins(plugins_of(declared))))

    for method, path in asked:
        wanted, got = ordered.request(method, path), composed.request(method, path)

        assert got.status_code == wanted.status_code, (method, path)
        if got.status_code == 200:
            assert got.json() == wanted.json()
        if got.status_code == 405:
            # FastAPI tells the methods of one route that fits the path, the index those of all.
            assert set(wanted.headers["Allow"].split(", ")) <= set(got.headers["Allow"].split(", "))
