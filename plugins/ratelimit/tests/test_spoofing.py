"""What a stranger writes makes no new client of it."""

import itertools

import pytest
from starlette.testclient import TestClient

from powerstrip import Identity
from powerstrip.testing import signed_in

THINGS = "/api/v1/things"
LIMIT = 3
REQUESTS = 12


def numbers():
    return itertools.count(1)


def address(number):
    return f"203.0.113.{number}"


# Each a way to look like somebody else on every request: headers by the request's number.
FORGERIES = {
    "X-Forwarded-For": lambda n: {"X-Forwarded-For": address(n)},
    "a chain in X-Forwarded-For": lambda n: {"X-Forwarded-For": f"{address(n)}, 10.0.0.1, 127.0.0.1"},
    "X-Forwarded-For twice": lambda n: [("X-Forwarded-For", address(n)), ("X-Forwarded-For", "127.0.0.1")],
    "X-Forwarded-For in other letters": lambda n: {"x-FORWARDED-for": address(n)},
    "X-Forwarded-For with a port": lambda n: {"X-Forwarded-For": f"{address(n)}:{n}"},
    "X-Forwarded-For with IPv6": lambda n: {"X-Forwarded-For": f"2001:db8:{n}::1"},
    "X-Forwarded-For that is none": lambda n: {"X-Forwarded-For": f"nobody-{n}"},
    "Forwarded": lambda n: {"Forwarded": f"for={address(n)};proto=https"},
    "Forwarded with IPv6": lambda n: {"Forwarded": f'for="[2001:db8:{n}::1]:4711"'},
    "Forwarded with a hidden name": lambda n: {"Forwarded": f"for=_hidden{n}"},
    "X-Real-IP": lambda n: {"X-Real-IP": address(n)},
    "X-Client-IP": lambda n: {"X-Client-IP": address(n)},
    "CF-Connecting-IP and True-Client-IP": lambda n: {"CF-Connecting-IP": address(n), "True-Client-IP": address(n)},
    "X-Cluster-Client-IP and Client-IP": lambda n: {"X-Cluster-Client-IP": address(n), "Client-IP": address(n)},
    "User-Agent": lambda n: {"User-Agent": f"browser/{n}"},
    "Host and X-Forwarded-Host": lambda n: {"X-Forwarded-Host": f"host{n}.example"},
    "a bearer token that is none": lambda n: {"Authorization": f"Bearer made-up-{n}"},
    "basic credentials": lambda n: {"Authorization": f"Basic bWFkZS11cC17bn0{n}"},
    "an API key": lambda n: {"X-API-Key": f"key-{n}"},
    "cookies": lambda n: {"Cookie": f"session={n}; id={n}"},
    "X-Request-ID and traceparent": lambda n: {
        "X-Request-ID": f"request-{n}",
        "traceparent": f"00-{n:032x}-{n:016x}-01",
    },
    "Origin, Referer and Accept-Language": lambda n: {
        "Origin": f"https://site{n}.example",
        "Referer": f"https://site{n}.example/",
        "Accept-Language": f"x-{n}",
    },
    "Via and Max-Forwards": lambda n: {"Via": f"1.1 proxy{n}", "Max-Forwards": str(n)},
    "X-RateLimit-Bypass and X-HTTP-Method-Override": lambda n: {
        "X-RateLimit-Bypass": str(n),
        "X-HTTP-Method-Override": "GET",
    },
}
# Each a way to make the same request look like another one: paths by the request's number.
DETOURS = {
    "query": lambda n: f"{THINGS}?page={n}",
    "slash at the end": lambda n: THINGS + "/" * (n % 2),
    "parameters of a path": lambda n: f"{THINGS}/{n}",
    "paths that are not there": lambda n: f"/nowhere/{n}",
    "escapes": lambda n: f"/api/v1/thing%{ord('s'):x}?{n}",
    "letters of another case": lambda n: "/API/v1/things" if n % 2 else "/api/V1/Things",
}


def admitted(client, requests):
    """How many of these are not refused for being too many."""
    return sum(client.get(path, headers=headers).status_code != 429 for path, headers in requests)


@pytest.fixture
def stranger(start):
    settings = {"default": f"{LIMIT}/minute"}
    return start(settings, address="198.51.100.7", plugins={"edge": True, "tracing": {"access_log": False}})


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_no_header_gives_a_stranger_another_quota(stranger, forgery):
    assert admitted(stranger, [(THINGS, FORGERIES[forgery](n)) for n in range(1, REQUESTS)]) == LIMIT


@pytest.mark.parametrize("detour", sorted(DETOURS))
def test_no_way_of_writing_a_request_gives_a_stranger_another_quota(stranger, detour):
    assert admitted(stranger, [(DETOURS[detour](n), {}) for n in range(1, REQUESTS)]) == LIMIT


def test_no_method_gives_a_stranger_another_quota(stranger):
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "LOCK"]

    assert sum(stranger.request(method, THINGS).status_code != 429 for method in methods) == LIMIT


def test_no_credentials_that_are_not_valid_make_an_identity(start, tmp_path):
    users = {"secret_key": "k" * 40, "avatars": {"folder": str(tmp_path)}, "mail": {"folder": str(tmp_path)}}
    plugins = {"users": users, "database": {"url": f"sqlite+aiosqlite:///{tmp_path}/users.db"}}
    client = start({"default": f"{LIMIT}/minute"}, plugins=plugins)

    requests = [("/api/v1/users/me", {"Authorization": f"Bearer made.up.{n}"}) for n in range(REQUESTS)]
    assert admitted(client, requests) == LIMIT


@pytest.mark.parametrize("header", ["x-forwarded", "forwarded"])
class TestBehindATrustedProxy:
    @pytest.fixture
    def behind_proxy(self, start, header):
        edge = {"proxies": {"networks": ["10.0.0.0/8"], "header": header}}
        return start({"default": f"{LIMIT}/minute"}, address="10.0.0.2", plugins={"edge": edge})

    @staticmethod
    def told(header, *addresses):
        """What the proxy passes on, the client's own words first."""
        if header == "forwarded":
            return {"Forwarded": ", ".join(f"for={address}" for address in addresses)}
        return {"X-Forwarded-For": ", ".join(addresses)}

    def test_each_client_has_a_quota_of_its_own(self, behind_proxy, header):
        for client in ("198.51.100.1", "198.51.100.2"):
            requests = [(THINGS, self.told(header, client)) for _ in range(REQUESTS)]
            assert admitted(behind_proxy, requests) == LIMIT

    def test_what_a_client_writes_left_of_the_proxy_makes_no_difference(self, behind_proxy, header):
        requests = [(THINGS, self.told(header, address(n), "198.51.100.1")) for n in range(1, REQUESTS)]

        assert admitted(behind_proxy, requests) == LIMIT

    def test_further_proxies_that_are_trusted_are_walked_past(self, behind_proxy, header):
        requests = [(THINGS, self.told(header, address(n), "198.51.100.1", f"10.1.2.{n}")) for n in range(1, REQUESTS)]

        assert admitted(behind_proxy, requests) == LIMIT

    def test_who_comes_around_the_proxy_is_not_believed(self, behind_proxy, header, from_address):
        outside = from_address(behind_proxy, "198.51.100.9")

        assert admitted(outside, [(THINGS, self.told(header, address(n))) for n in range(1, REQUESTS)]) == LIMIT


def test_the_addresses_of_one_ipv6_network_are_one_client(stranger, from_address):
    hosts = [f"2001:db8:0:1::{n:x}" for n in range(1, REQUESTS)]
    clients = [from_address(stranger, host) for host in hosts]

    assert sum(client.get(THINGS).status_code != 429 for client in clients) == LIMIT
    assert from_address(stranger, "2001:db8:0:2::1").get(THINGS).status_code == 200


@pytest.mark.parametrize(
    "spellings",
    [
        ["192.0.2.200", "::ffff:192.0.2.200", "::ffff:c000:2c8", "64:ff9b::c000:2c8"],
        ["2001:db8::1", "2001:DB8::1", "2001:0db8:0000:0000:0000:0000:0000:0002", "2001:db8::1%eth0"],
        ["2002:c000:2c8::1", "2002:c000:2c8:1::1", "2002:c000:2c8:ffff::9"],
    ],
)
def test_one_address_in_other_spellings_is_one_client(stranger, from_address, spellings):
    clients = itertools.islice(itertools.cycle(spellings), REQUESTS)

    assert sum(from_address(stranger, host).get(THINGS).status_code != 429 for host in clients) == LIMIT


def test_connections_without_an_address_are_one_client(stranger):
    nameless = TestClient(stranger.app, client=None)

    assert admitted(nameless, [(THINGS, {}) for _ in range(REQUESTS)]) == LIMIT


def test_an_identity_has_one_quota_whatever_it_writes_and_wherever_it_comes_from(start, from_address):
    client = start({"default": f"{LIMIT}/minute"}, plugins={"fake_identity": True})
    ann = signed_in(Identity("ann"))

    count = 0
    for number, forgery in enumerate(FORGERIES.values(), start=1):
        headers = {**dict(forgery(number)), **ann}
        count += from_address(client, address(number)).get(THINGS, headers=headers).status_code != 429
    assert count == LIMIT


def test_a_made_up_api_key_gives_no_more_than_the_default(start):
    settings = {"default": f"{LIMIT}/minute", "policies": {"keys": {"rate": "2/minute", "key": "api-key"}}}
    client = start(settings)

    assert admitted(client, [(THINGS, {"X-API-Key": f"key-{n}"}) for n in range(REQUESTS)]) == LIMIT
