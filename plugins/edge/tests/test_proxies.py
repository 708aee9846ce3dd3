"""Trusted proxies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from powerstrip_edge.domain.forwarding import Forwarding, read_forwarded, read_x_forwarded
from powerstrip_edge.settings import ProxiesSettings

PROXY = "10.0.0.1"
CLIENT = "203.0.113.9"
SPOOFED = {
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=198.51.100.1;proto=https;host=evil.example",
}


def is_trusted(address: str) -> bool:
    return address.startswith("10.")


def x_forwarded(*addresses: str, proto: str = "", host: str = ""):
    lines = {b"x-forwarded-proto": proto, b"x-forwarded-host": host}
    headers = [(b"x-forwarded-for", address.encode()) for address in addresses]
    return read_x_forwarded([*headers, *((name, line.encode()) for name, line in lines.items() if line)], is_trusted)


def forwarded(*lines: str):
    return read_forwarded([(b"forwarded", line.encode("latin-1")) for line in lines], is_trusted)


@pytest.mark.parametrize("settings", [{}, {"networks": ["192.0.2.0/24"]}], ids=["none", "others"])
@pytest.mark.parametrize("kind", ["x-forwarded", "forwarded"])
def test_strangers_are_not_believed(start, settings, kind):
    client = start({"proxies": {**settings, "header": kind}}, client=(PROXY, 1))

    answer = client.get("/where", headers=SPOOFED).json()

    assert answer == {"client": [PROXY, 1], "url": "http://testserver/where"}


def test_a_trusted_proxy_is_believed(start):
    client = start({"proxies": {"networks": ["10.0.0.0/8"]}}, client=(PROXY, 1))

    headers = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.com"}

    assert client.get("/where", headers=headers).json() == {
        "client": [CLIENT, 0],
        "url": "https://api.example.com/where",
    }


def test_a_trusted_proxy_that_writes_forwarded_is_believed(start):
    client = start({"proxies": {"networks": [PROXY], "header": "forwarded"}}, client=(PROXY, 1))

    headers = {"Forwarded": f'for="{CLIENT}:4711";proto=https;host="api.example.com:8443"'}

    assert client.get("/where", headers=headers).json() == {
        "client": [CLIENT, 4711],
        "url": "https://api.example.com:8443/where",
    }


def test_the_kind_of_header_that_the_proxy_does_not_write_is_ignored(start):
    by_x = start({"proxies": {"networks": [PROXY]}}, client=(PROXY, 1))
    by_forwarded = start({"proxies": {"networks": [PROXY], "header": "forwarded"}}, client=(PROXY, 1))

    assert by_x.get("/where", headers={"Forwarded": SPOOFED["Forwarded"]}).json()["client"] == [PROXY, 1]
    assert by_forwarded.get("/where", headers={"X-Forwarded-For": CLIENT}).json()["client"] == [PROXY, 1]


def test_what_a_client_claims_to_a_trusted_proxy_is_not_believed(start):
    client = start({"proxies": {"networks": ["10.0.0.0/8"]}}, client=(PROXY, 1))

    answer = client.get("/where", headers={"X-Forwarded-For": f"127.0.0.1, 10.9.9.9, {CLIENT}"})

    assert answer.json()["client"] == [CLIENT, 0]


def test_the_forwarded_host_has_to_be_ours(start):
    client = start({"hosts": ["api.example.com"], "proxies": {"networks": [PROXY]}}, client=(PROXY, 1))

    def status(host):
        return client.get("/where", headers={"X-Forwarded-Host": host}).status_code

    assert status("api.example.com") == 200
    assert status("evil.example") == 400


def test_an_https_proxy_turns_transport_security_on(start):
    client = start({"proxies": {"networks": [PROXY]}}, client=(PROXY, 1))

    assert "strict-transport-security" in client.get("/where", headers={"X-Forwarded-Proto": "https"}).headers


def test_websockets_come_through_proxies_too(start):
    client = start({"proxies": {"networks": [PROXY]}}, client=(PROXY, 1))

    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.com"}
    with client.websocket_connect("/ws", headers=headers) as socket:
        assert socket.receive_json()["url"] == "wss://api.example.com/ws"


def test_a_proxy_is_recognised_in_an_ipv6_socket(start):
    client = start({"proxies": {"networks": ["10.0.0.0/8"]}}, client=(f"::ffff:{PROXY}", 1))

    assert client.get("/where", headers={"X-Forwarded-For": CLIENT}).json()["client"] == [CLIENT, 0]


@pytest.mark.parametrize("trusted", [True, False])
async def test_unix_sockets_are_trusted_only_when_told_so(compose, trusted):
    app = compose({"proxies": {"unix_sockets": trusted, "networks": ["192.0.2.1"]}, "hosts": ["api.example.com"]})
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/plain",
        "query_string": b"",
        "headers": [(b"host", b"socket"), (b"x-forwarded-host", b"api.example.com")],
        "client": None,
    }
    await app(scope, receive, send)

    assert sent[0]["status"] == (200 if trusted else 400)


@pytest.mark.parametrize(
    ("addresses", "client"),
    [
        ([CLIENT], (CLIENT, 0)),
        ([f"{CLIENT}:4711"], (CLIENT, 4711)),
        (["[2001:db8::1]:4711"], ("2001:db8::1", 4711)),
        (["2001:DB8:0::1"], ("2001:db8::1", 0)),
        (["[2001:db8::1]"], ("2001:db8::1", 0)),
        ([f"6.6.6.6, {CLIENT}, 10.0.0.2"], (CLIENT, 0)),
        (["6.6.6.6", CLIENT, "10.0.0.2"], (CLIENT, 0)),
        (["10.0.0.3, 10.0.0.2"], ("10.0.0.3", 0)),
        (["junk, 10.0.0.2"], ("10.0.0.2", 0)),
        (["unknown"], None),
        ([""], None),
        (["fe80::1%\x1b[31m"], None),
        ([f"{CLIENT}:port"], (CLIENT, 0)),
        ([f"{CLIENT}:999999"], (CLIENT, 0)),
        (["::ffff:203.0.113.9"], (CLIENT, 0)),
    ],
)
def test_the_right_most_stranger_is_the_client(addresses, client):
    assert x_forwarded(*addresses).client == client


@pytest.mark.parametrize(
    ("addresses", "proto", "host", "expected"),
    [
        (CLIENT, "https", "a.example", ("https", "a.example")),
        (CLIENT, "HTTPS", "a.example:8443", ("https", "a.example:8443")),
        (CLIENT, "http, https", "evil.example, a.example", ("https", "a.example")),
        (f"{CLIENT}, 10.0.0.2", "https, http", "a.example, inner", ("https", "a.example")),
        (f"{CLIENT}, 10.0.0.2", "https", "a.example", ("https", "a.example")),
        (CLIENT, "javascript", "a.example/x", (None, None)),
        ("", "https", "a.example", ("https", "a.example")),
    ],
)
def test_scheme_and_host_are_those_that_the_same_proxy_wrote(addresses, proto, host, expected):
    seen = x_forwarded(addresses, proto=proto, host=host)

    assert (seen.scheme, seen.host) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["for=203.0.113.9"], Forwarding((CLIENT, 0))),
        (["For=203.0.113.9;Proto=HTTPS;Host=a.example;by=10.0.0.1"], Forwarding((CLIENT, 0), "https", "a.example")),
        (["for=203.0.113.9:80;host=a.example:8443"], Forwarding((CLIENT, 80), None, "a.example:8443")),
        (['for="[2001:db8::1]:4711"'], Forwarding(("2001:db8::1", 4711))),
        (["for=6.6.6.6, for=203.0.113.9, for=10.0.0.2"], Forwarding((CLIENT, 0))),
        (["for=6.6.6.6", "for=203.0.113.9"], Forwarding((CLIENT, 0))),
        (
            ["for=203.0.113.9;proto=https;host=a.example, for=10.0.0.2;proto=http;host=b"],
            Forwarding((CLIENT, 0), "https", "a.example"),
        ),
        (['for=203.0.113.9;by="a,b"'], Forwarding((CLIENT, 0))),
        (['for="\\203.0.113.9"'], Forwarding((CLIENT, 0))),
        (["for=unknown"], Forwarding()),
        (["for=_hidden"], Forwarding()),
        (["for=6.6.6.6, for=_hidden, for=10.0.0.2"], Forwarding(("10.0.0.2", 0))),
        (["proto=https"], Forwarding()),
        (["for=203.0.113.9;proto=gopher;host=a/b"], Forwarding((CLIENT, 0))),
        (["garbage"], Forwarding()),
        ([], Forwarding()),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(lines, expected):
    assert forwarded(*lines) == expected


@given(st.text(st.characters(max_codepoint=255), max_size=80))
def test_nothing_that_a_client_writes_hides_what_the_proxy_adds(written):
    assert forwarded(f"{written}, for={CLIENT};proto=https") == Forwarding((CLIENT, 0), "https")
    assert x_forwarded(f"{written}, {CLIENT}").client == (CLIENT, 0)


def test_an_endless_header_is_read_quickly():
    flood = 'a="' * 3000 + "," * 60_000 + ",a=b" * 20_000

    assert forwarded(f"{flood}, for={CLIENT}").client == (CLIENT, 0)
    assert forwarded(flood).client is None
    assert x_forwarded("10.0.0.1," * 20_000).client is None


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example.com", "*"])
def test_what_is_no_network_is_refused(network):
    with pytest.raises(ValidationError, match=r"networks\.0"):
        ProxiesSettings.model_validate({"networks": [network]})
