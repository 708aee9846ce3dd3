"""Limits that authors state on their routes."""

import pytest
from fastapi import APIRouter, Depends
from starlette.websockets import WebSocketDisconnect

from powerstrip import BuildError, Plugin, RateLimit, Routes, hookimpl


def statuses(client, path, times, method="GET"):
    return [client.request(method, path).status_code for _ in range(times)]


def test_a_stated_limit_counts_each_request_once_and_beside_the_default(start):
    client = start({"default": "10/minute"})

    answer = client.get("/api/v1/stated")

    policies = '"default";q=10;w=60, "GET /api/v1/stated";q=2;w=3600'
    assert answer.headers["ratelimit-policy"] == policies
    assert answer.headers["ratelimit"] == '"default";r=9;t=54, "GET /api/v1/stated";r=1;t=1800'
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", "1")
    assert statuses(client, "/api/v1/stated", 2) == [200, 429]


def test_a_refusal_by_a_stated_limit_costs_nothing_under_the_default(start):
    client = start({"default": "3/minute"})

    assert statuses(client, "/api/v1/stated", 9) == [200, 200] + [429] * 7
    assert statuses(client, "/api/v1/things", 2) == [200, 429]


def test_routes_that_share_a_limit_share_its_count(start):
    client = start()

    assert statuses(client, "/api/v1/shared", 2) == [200, 200]
    assert statuses(client, "/api/v1/shared", 2, "DELETE") == [200, 429]


def test_a_stated_cost_is_taken(start):
    client = start()

    assert statuses(client, "/api/v1/costly", 3) == [200, 200, 429]


def test_an_operators_limit_of_a_route_replaces_the_authors(start):
    client = start({"routes": {"/api/v1/stated": "5/hour"}})

    answer = client.get("/api/v1/stated")

    assert answer.headers["ratelimit-policy"] == '"default";q=60;w=60, "/api/v1/stated";q=5;w=3600'
    assert statuses(client, "/api/v1/stated", 5) == [200] * 4 + [429]


def test_a_stated_limit_counts_without_a_default_and_not_where_the_route_is_exempt(start):
    assert statuses(start({"default": None}), "/api/v1/stated", 3) == [200, 200, 429]
    assert statuses(start({"exempt": {"paths": ["/api/v1/stated"]}}), "/api/v1/stated", 3) == [200] * 3


def test_a_stated_limit_of_a_websocket_counts_handshakes(start):
    client = start()
    with client.websocket_connect("/api/v1/stated-socket"):
        pass

    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/api/v1/stated-socket"):
        pass

    assert refused.value.status_code == 429


def test_a_stated_limit_does_nothing_where_no_limiter_is_on(powerstrip_client, sample):
    with powerstrip_client({"sample": True}, extra={"sample": sample}) as client:
        assert statuses(client, "/api/v1/stated", 5) == [200] * 5


def test_a_stated_rate_that_is_none_refuses_the_composition(start):

    router = APIRouter()
    router.add_api_route("/wrong", lambda: None, dependencies=[Depends(RateLimit("100/fortnight"))])

    class Wrong(Plugin):
        @hookimpl
        def register_routes(self):
            return [Routes(router)]

    with pytest.raises(BuildError, match=r"plugin 'wrong' limits /api/v1/wrong: '100/fortnight' is no rate"):
        start(extra={"wrong": Wrong})
