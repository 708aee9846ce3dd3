"""The access log."""

import json
import logging

import anyio
import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from powerstrip import Identity


def test_a_request_is_one_line(start, access_lines):
    answer = start().get("/users/7?token=secret", headers={"X-Request-ID": "mine"})

    (line,) = access_lines()
    assert line.pop("duration_ms") >= line.pop("ttfb_ms") > 0
    assert line.pop("trace_id") == answer.headers["traceparent"].split("-")[1]
    assert line == {
        "method": "GET",
        "route": "/users/{user_id}",
        "path": "/users/7",
        "status": 200,
        "outcome": "completed",
        "bytes_out": 3,
        "request_id": "mine",
        "identity": None,
        "client": "testclient",
        "http_version": "1.1",
    }


def test_query_strings_are_logged_only_when_asked_for(start, access_lines):
    start({"access_log_query": True}).get("/users/7?a=b")

    assert access_lines()[0]["query"] == "a=b"


def test_the_caller_is_named(start, access_lines):
    start(identity=Identity("user-1", "Ada")).get("/plain")

    assert access_lines()[0]["identity"] == "user-1"


def test_the_client_behind_a_trusted_proxy_is_named(start, access_lines):
    client = start(plugins={"edge": {"proxies": {"networks": ["10.0.0.1"]}}})

    TestClient(client.app, client=("10.0.0.1", 1)).get("/plain", headers={"X-Forwarded-For": "203.0.113.9"})

    assert access_lines()[0]["client"] == "203.0.113.9"


@pytest.mark.parametrize(("path", "expected"), [("/nowhere", (404, None)), ("/broken", (500, "/broken"))])
@pytest.mark.parametrize("plugins", [{}, {"edge": True}], ids=["alone", "with edge"])
def test_errors_are_logged_with_the_status_the_client_got(start, access_lines, path, expected, plugins):
    answer = start(plugins=plugins).get(path)

    (line,) = access_lines()
    assert (line["status"], line["route"]) == expected
    assert (line["outcome"], line["bytes_out"]) == ("completed", len(answer.content))


def test_a_refusal_by_an_interceptor_is_logged(start, access_lines):
    start(plugins={"edge": {"hosts": ["api.example.com"]}}).get("/plain")

    assert access_lines()[0]["status"] == 400


def test_a_stream_is_logged_when_its_last_byte_is_out(start, access_lines):
    start().get("/stream")

    (line,) = access_lines()
    assert line["bytes_out"] == 30


async def test_a_stream_that_the_client_leaves_is_aborted(start, call, access_lines):
    with anyio.fail_after(5):
        await call(start().app, "/stream", [], leaves=True)

    (line,) = access_lines()
    assert line["outcome"] == "aborted"
    assert line["status"] == 200


async def test_a_stream_that_fails_is_failed(start, call, access_lines):
    with pytest.raises(ValueError, match="half way"):
        await call(start().app, "/half", [])

    (line,) = access_lines()
    assert (line["outcome"], line["status"], line["bytes_out"]) == ("failed", 200, 10)


def test_control_characters_of_a_path_do_not_reach_the_log(start, access_lines):
    start().get("/users/a%0d%0aINFO%20forged%1b%5b31m%22%c3%a4")

    assert access_lines()[0]["path"] == "/users/a%0D%0AINFO%20forged%1B%5B31m%22%C3%A4"


def test_health_is_not_logged_unless_told_otherwise(start, access_lines):
    start(plugins={"health": True}).get("/health/live")
    assert access_lines() == []

    start({"access_log_exclude": []}, plugins={"health": True}).get("/health/live")
    assert [line["path"] for line in access_lines()] == ["/health/live"]


def test_patterns_exclude_paths(start, access_lines):
    client = start({"access_log_exclude": ["/users/*", "/plain"]})

    for path in ("/users/7", "/plain", "/plainer"):
        client.get(path)

    assert [line["path"] for line in access_lines()] == ["/plainer"]


def test_it_can_be_switched_off(start, access_lines):
    start({"access_log": False}).get("/plain")

    assert access_lines() == []


def test_a_log_level_that_hides_it_costs_no_line(start, access_lines, caplog):
    caplog.set_level(logging.WARNING, "powerstrip_tracing.access")

    start().get("/plain")

    assert access_lines() == []


def test_a_websocket_is_one_line_at_its_end(start, access_lines):
    with start().websocket_connect("/ws/a") as socket:
        size = len(socket.receive_text())
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()

    (line,) = access_lines()
    assert (line["method"], line["route"], line["status"]) == ("WEBSOCKET", "/ws/{room}", 101)
    assert (line["close_code"], line["bytes_out"]) == (4000, size)


@pytest.mark.parametrize(("path", "status"), [("/closed", 403), ("/nowhere", 404)])
def test_a_refused_websocket_is_logged_with_its_status(start, access_lines, path, status):
    with pytest.raises(WebSocketDisconnect), start().websocket_connect(path):
        pass

    (line,) = access_lines()
    assert (line["method"], line["status"]) == ("WEBSOCKET", status)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_real_server_writes_it_to_its_log(powerstrip_process, log_format):
    plugins = {"tracing": {"access_log_exclude": []}, "health": True}
    with powerstrip_process(plugins, logging={"format": log_format}) as served:
        answer = httpx2.get(f"{served.base_url}/health/live", headers={"X-Request-ID": "mine"})
        served.stop()

    assert answer.headers["x-request-id"] == "mine"
    (line,) = [line for line in served.log.splitlines() if "/health/live" in line]
    if log_format == "json":
        fields = json.loads(line)
        assert fields["logger"] == "powerstrip_tracing.access"
        assert (fields["request_id"], fields["route"], fields["status"]) == ("mine", "/health/live", 200)
    else:
        assert "request_id=mine" in line
