"""Asking what is left: over HTTP, and on the command line."""

import json

import pytest

from powerstrip import Identity
from powerstrip.testing import signed_in

THINGS, ME, ALL = "/api/v1/things", "/api/v1/ratelimits/me", "/api/v1/ratelimits"
ANN, ADMIN = Identity("ann"), Identity("root", roles=frozenset(("admin",)))
SETTINGS = {
    "default": "10/minute",
    "routes": {"POST /api/v1/things": "2/hour"},
    "policies": {
        "admins": {"rate": "100/minute", "roles": ["admin"], "replaces": ["default"]},
        "tried": {"rate": "1/minute", "mode": "observe"},
    },
}


def told(answer):
    return {policy["name"]: policy for policy in answer.json()["policies"]}


def test_a_client_sees_its_policies_and_what_is_left(start, clock):
    client = start(SETTINGS)
    client.post(THINGS)
    clock.advance(10)

    answer = client.get(ME)

    policies = told(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert policies["default"] == {
        "name": "default",
        "client": "address:192.0.2.1",
        "algorithm": "sliding",
        "limit": 10,
        "window": 60,
        "burst": None,
        "remaining": 8,
        "retry_after": 0.0,
        "reset_after": 60.0,
        "routes": [],
        "methods": [],
        "tags": [],
        "plugins": [],
    }
    stated = policies["POST /api/v1/things"]
    assert (stated["remaining"], stated["reset_after"], stated["routes"]) == (1, 3590.0, ["POST /api/v1/things"])
    assert "GET /api/v1/stated" in policies


def test_what_is_observed_is_nobodys_business_and_roles_see_their_own(start):
    client = start(SETTINGS, plugins={"fake_identity": True})

    stranger, admin = told(client.get(ME)), told(client.get(ME, headers=signed_in(ADMIN)))

    assert not {"tried", "admins"} & set(stranger)
    assert ("default" in admin, admin["admins"]["client"]) == (False, "identity:root")


def test_who_is_exempt_has_no_policies(start):
    assert told(start({"exempt": {"networks": ["192.0.2.0/24"]}}).get(ME)) == {}


def test_looking_does_not_count_beyond_the_request_itself(start):
    client = start(SETTINGS)

    assert [told(client.get(ME))["default"]["remaining"] for _ in range(3)] == [9, 8, 7]


@pytest.mark.parametrize(("identity", "status"), [(None, 401), (ANN, 403), (ADMIN, 200)])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_only_admins_see_and_reset_others(start, method, identity, status):
    client = start({"admin_role": "admin"}, plugins={"fake_identity": True})

    answer = client.request(method, ALL, params={"client": "192.0.2.1"}, headers=signed_in(identity))

    assert answer.status_code == status


def test_an_admin_lets_a_client_begin_anew(start):
    client = start({"default": "2/minute", "admin_role": "admin"}, plugins={"fake_identity": True})
    for _ in range(3):
        client.get(THINGS)
    name = {"client": "192.0.2.1"}

    seen = told(client.get(ALL, params=name, headers=signed_in(ADMIN)))
    reset = client.delete(ALL, params=name, headers=signed_in(ADMIN))

    assert (seen["default"]["remaining"], seen["default"]["client"]) == (0, "address:192.0.2.1")
    assert reset.json() == {"client": "address:192.0.2.1", "policies_reset": 1}
    assert client.get(THINGS).status_code == 200


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("address:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "address:2001:db8:1:2::/64"),
        ("identity:ann", "identity:ann"),
    ],
)
def test_clients_are_named_as_operators_know_them(start, text, subject):
    client = start({"admin_role": "admin"}, plugins={"fake_identity": True})

    answer = client.get(ALL, params={"client": text}, headers=signed_in(ADMIN))

    assert told(answer)["default"]["client"] == subject


def test_a_key_in_a_header_is_named_by_its_value_and_kept_as_a_hash(start):
    settings = {"default": None, "admin_role": "admin", "policies": {"keys": {"rate": "5/minute", "key": "api-key"}}}
    client = start(settings, plugins={"fake_identity": True})
    client.get(THINGS, headers={"X-API-Key": "sesame"})

    answer = client.get(ALL, params={"client": "api-key:sesame"}, headers=signed_in(ADMIN))

    assert told(answer)["keys"]["remaining"] == 4
    assert "sesame" not in answer.text


@pytest.mark.parametrize("command", ["show", "reset"])
def test_the_command_line_sees_no_counters_of_other_processes_and_says_so(powerstrip_config, type_line, command):
    path = powerstrip_config({"ratelimit": True})

    done = type_line("ratelimit", command, "192.0.2.1", "--config", path)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "the counters are in the memory of each server process" in done.stderr


def test_the_document_tells_limits_of_each_operation(start):
    client = start({"default": "10/minute", "exempt": {"paths": ["/api/v1/things"]}}, app={"docs": True})
    document = client.get("/openapi.json").json()

    stated = document["paths"]["/api/v1/stated"]["get"]
    default = {"policy": "default", "algorithm": "sliding", "limit": 10, "key": "client", "window": 60, "cost": 1}
    own = {**default, "policy": "GET /api/v1/stated", "limit": 2, "window": 3600}
    assert stated["x-ratelimit"] == [default, own]
    shown = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy"}
    assert set(stated["responses"]["200"]["headers"]) == shown
    assert set(stated["responses"]["429"]["headers"]) == {*shown, "Retry-After"}
    assert "x-ratelimit" not in document["paths"]["/api/v1/things"]["get"]
    referred = {part["$ref"].rpartition("/")[2] for part in stated["responses"]["429"]["headers"].values()}
    assert referred <= set(document["components"]["headers"])
    assert "x-ratelimit" in document["paths"]["/api/v1/things/{thing_id}"]["get"], json.dumps(document["paths"])
