"""Trusted hosts."""

import pytest
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from powerstrip_edge.domain.hosts import HostRules
from powerstrip_edge.settings import EdgeSettings

RULES = ["api.example.com", "*.example.org", "only.example.net:8443", "[::1]", "127.0.0.1"]


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "API.Example.COM",
        "api.example.com:8000",
        "api.example.com.",
        "a.example.org",
        "a.b.example.org:1",
        "only.example.net:8443",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:8000",
        "127.0.0.1:80",
    ],
)
def test_names_of_the_server_are_allowed_in_any_spelling(host):
    assert HostRules(RULES).allow(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "api.example.com.evil.example",
        "evilapi.example.com",
        "example.org",
        "evilexample.org",
        "only.example.net",
        "only.example.net:80",
        "api.example.com:port",
        "api.example.com:123456",
        "api.example.com:80:80",
        "api.example.com/x",
        "api.example.com@evil.example",
        "evil.example#api.example.com",
        "api.example.com\r\nX-Evil: 1",
        " api.example.com",
        "[::2]",
        "[::1",
        "[::1%25eth0]",
        "..",
        "api.example.com..",
        "äpi.example.com",
    ],
)
def test_other_names_and_odd_spellings_are_refused(host):
    assert not HostRules(RULES).allow(host.encode("latin-1"))


def test_a_foreign_host_is_a_problem_with_id_and_security_headers(start):
    client = start({"hosts": ["testserver"]})

    answer = client.get("/plain", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "HostNotAllowed"
    assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "evil" not in answer.text


def test_the_right_host_is_served(start):
    assert start({"hosts": ["testserver"]}).get("/plain").status_code == 200


def test_without_hosts_any_name_is_served(start):
    assert start().get("/plain", headers={"Host": "any.example"}).status_code == 200


@pytest.mark.parametrize("hosts", [[], [b"testserver", b"testserver"], [b"testserver", b"evil.example"]])
async def test_none_and_several_host_headers_are_refused(compose, call, hosts):
    app = compose({"hosts": ["testserver"]})

    answer = await call(app, "/plain", headers=[(b"host", host) for host in hosts])

    assert answer.status == 400


def test_exempt_paths_are_served_for_any_name(start):
    client = start({"hosts": ["api.example.com"], "hosts_exempt": ["/pl*"]})

    assert client.get("/plain").status_code == 200
    assert client.get("/where").status_code == 400


def test_websockets_for_a_foreign_host_are_refused(start):
    client = start({"hosts": ["api.example.com"]})

    with pytest.raises(WebSocketDisconnect) as refusal, client.websocket_connect("/ws"):
        pass

    assert refusal.value.status_code == 400


@pytest.mark.parametrize(
    "host", ["http://api.example.com", "api.example.com/", "*", "*.*.com", "a b", "", "[:::]", "api.example.com:port"]
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ValidationError, match="hosts"):
        EdgeSettings.model_validate({"hosts": [host]})
