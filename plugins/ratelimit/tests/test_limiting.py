"""Requests that are counted and refused, as clients see them."""

import pytest
from starlette.websockets import WebSocketDisconnect

from powerstrip import Identity
from powerstrip.testing import signed_in

ANN, BEN, ADMIN = Identity("ann"), Identity("ben"), Identity("root", roles=frozenset(("admin",)))
THINGS = "/api/v1/things"


def statuses(client, path, times, method="GET", **options):
    return [client.request(method, path, **options).status_code for _ in range(times)]


def test_by_default_a_client_gets_sixty_requests_a_minute(start, clock):
    client = start()

    assert statuses(client, THINGS, 61) == [200] * 60 + [429]
    clock.advance(59)
    assert statuses(client, THINGS, 1) == [429]
    clock.advance(1)
    assert statuses(client, THINGS, 61) == [200] * 60 + [429]


def test_a_refusal_says_so_in_status_headers_and_body(start, clock):
    client = start({"default": "2/minute"})
    client.get(THINGS)
    clock.advance(9.5)
    client.get(THINGS)

    answer = client.get(THINGS)

    assert answer.status_code == 429
    assert answer.json()["error"] == {
        "type": "RateLimitExceeded",
        "message": "Too many requests: try again in 51 s.",
        "status_code": 429,
        "retry_after": 51,
        "violated_policies": ["default"],
    }
    assert answer.headers["retry-after"] == "51"
    assert answer.headers["ratelimit"] == '"default";r=0;t=51'
    assert answer.headers["ratelimit-policy"] == '"default";q=2;w=60'


def test_a_refusal_carries_what_every_answer_does(start):
    origin = "https://app.example.com"
    plugins = {"tracing": {"access_log": False}, "edge": {"cors": {"origins": [origin]}}}
    client = start({"default": "1/minute"}, plugins=plugins)

    for status in (200, 429):
        answer = client.get(THINGS, headers={"Origin": origin, "X-Request-ID": "request-7"})
        exposed = answer.headers["access-control-expose-headers"].lower()

        assert answer.status_code == status
        assert answer.headers["x-request-id"] == "request-7"
        assert answer.headers["access-control-allow-origin"] == origin
        assert all(name in exposed for name in answer.headers if "ratelimit" in name or name == "retry-after")
    assert answer.json()["error"]["request_id"] == "request-7"


def test_a_preflight_does_not_count(start):
    origin = "https://app.example.com"
    client = start({"default": "1/minute"}, plugins={"edge": {"cors": {"origins": [origin]}}})
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    assert statuses(client, THINGS, 3, "OPTIONS", headers=asked) == [204, 204, 204]
    assert statuses(client, THINGS, 2) == [200, 429]


def test_a_client_that_asks_for_problem_json_is_told_the_same(start):
    client = start({"default": "1/minute"})
    client.get(THINGS)

    answer = client.get(THINGS, headers={"Accept": "application/problem+json"})

    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["retry_after"]) == ("RateLimitExceeded", 60)


def test_waiting_as_long_as_retry_after_says_is_enough_and_no_less(start, clock):
    client = start({"default": "3/minute"})
    for pause in (0.1, 7.3, 1.1):
        client.get(THINGS)
        clock.advance(pause)
    wait = int(client.get(THINGS).headers["retry-after"])

    clock.advance(wait - 1)
    assert statuses(client, THINGS, 1) == [429]
    clock.advance(1)
    assert statuses(client, THINGS, 1) == [200]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", THINGS, 405)])
def test_requests_that_no_route_answers_count_as_well(start, method, path, status):
    client = start({"default": "2/minute"})

    assert statuses(client, path, 3, method) == [status, status, 429]


def test_an_error_and_a_mounted_application_count_and_tell(start):
    client = start({"default": "3/minute"})

    boom, mounted = client.get("/api/v1/boom"), client.get("/api/v1/mounted/")

    assert (boom.status_code, boom.headers["x-ratelimit-remaining"]) == (500, "2")
    assert mounted.headers.get_list("x-ratelimit-limit") == ["3"]
    assert mounted.headers.get_list("ratelimit") == ['"default";r=1;t=20']


def test_before_sign_in_the_address_counts_after_it_the_identity(start, from_address):
    client = start({"default": "1/minute"}, plugins={"fake_identity": True})
    other = from_address(client, "192.0.2.99")

    assert statuses(client, THINGS, 2) == [200, 429]
    assert statuses(client, THINGS, 2, headers=signed_in(ANN)) == [200, 429]
    assert statuses(other, THINGS, 1, headers=signed_in(ANN)) == [429]
    assert statuses(other, THINGS, 2, headers=signed_in(BEN)) == [200, 429]
    assert statuses(other, THINGS, 2) == [200, 429]


def test_a_route_of_the_config_has_a_limit_of_its_own_beside_the_default(start):
    client = start({"default": "5/minute", "routes": {"POST /api/v1/things/": "2/hour"}})

    assert statuses(client, THINGS, 3, "POST") == [200, 200, 429]
    assert statuses(client, THINGS, 4) == [200, 200, 200, 429]


def test_a_refusal_by_one_policy_costs_nothing_under_the_others(start):
    client = start({"default": "3/minute", "routes": {"POST /api/v1/things": "1/hour"}})

    assert statuses(client, THINGS, 20, "POST") == [200] + [429] * 19
    assert client.get(THINGS).headers["x-ratelimit-remaining"] == "1"


def test_the_parameters_of_a_path_make_no_new_quotas(start):
    client = start({"default": None, "routes": {"GET /api/v1/things/{id}": "2/minute"}})

    assert [client.get(f"{THINGS}/{number}").status_code for number in range(4)] == [200, 200, 429, 429]
    assert client.head(f"{THINGS}/9/").status_code == 429


@pytest.mark.parametrize(
    ("policy", "limited", "free"),
    [
        ({"tags": ["things"]}, [("GET", THINGS), ("POST", THINGS)], [("GET", THINGS + "/1"), ("GET", "/nowhere")]),
        ({"methods": ["POST", "DELETE"]}, [("POST", THINGS), ("DELETE", "/nowhere")], [("GET", THINGS)]),
        ({"plugins": ["sample"]}, [("GET", THINGS), ("POST", THINGS)], [("GET", "/health"), ("GET", "/nowhere")]),
        ({"routes": ["/api/v1/th*"]}, [("GET", THINGS), ("GET", THINGS + "/1")], [("GET", "/api/v1/shared")]),
        ({"methods": ["GET"]}, [("GET", THINGS), ("HEAD", THINGS)], [("POST", THINGS)]),
    ],
)
def test_a_policy_is_about_the_requests_that_it_names(start, policy, limited, free):
    settings = {"default": None, "policies": {"some": {"rate": "1/minute", **policy}}}
    client = start(settings, plugins={"health": True})

    assert [client.request(*request).status_code == 429 for request in limited] == [False, True]
    assert not any(client.request(*request).status_code == 429 for request in free * 2)


def test_roles_have_policies_of_their_own_which_may_replace_others(start):
    settings = {
        "default": "1/minute",
        "policies": {"admins": {"rate": "3/minute", "roles": ["admin"], "replaces": ["default"]}},
    }
    client = start(settings, plugins={"fake_identity": True})

    assert statuses(client, THINGS, 2, headers=signed_in(ANN)) == [200, 429]
    assert statuses(client, THINGS, 4, headers=signed_in(ADMIN)) == [200, 200, 200, 429]


def test_costs_of_routes_and_policies_are_taken_in_units(start):
    settings = {
        "default": "10/minute",
        "costs": {"POST /api/v1/things": 4},
        "policies": {"flat": {"rate": "6/minute", "cost": 2}},
    }
    client = start(settings)

    answer = client.post(THINGS)

    assert answer.headers["ratelimit"] == '"default";r=6;t=36, "flat";r=4;t=40'
    assert statuses(client, THINGS, 3, "POST") == [200, 429, 429]


def test_a_cost_above_the_limit_takes_all_there_is(start):
    client = start({"default": "3/minute", "costs": {"POST /api/v1/things": 99}})

    assert statuses(client, THINGS, 2, "POST") == [200, 429]


def test_exempt_routes_networks_and_roles_are_not_counted(start, from_address):
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    exempt = {"paths": ["/health*", "POST /api/v1/things"], "networks": networks, "roles": ["admin"]}
    plugins = {"fake_identity": True, "health": True}
    client = start({"default": "1/minute", "exempt": exempt}, plugins=plugins)

    assert statuses(client, "/health", 3) == statuses(client, "/health/live", 3) == [200] * 3
    assert statuses(client, THINGS, 3, "POST") == [200] * 3
    assert statuses(client, THINGS, 3, headers=signed_in(ADMIN)) == [200] * 3
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5"):
        assert statuses(from_address(client, address), THINGS, 3) == [200] * 3
    assert statuses(client, THINGS, 2) == [200, 429]
    assert "ratelimit" not in client.get("/health").headers


def test_a_path_that_only_looks_exempt_counts(start):
    """Exempt are routes: what no route answers counts, whatever its path begins with."""
    client = start({"default": "1/minute", "exempt": {"paths": ["/health*"]}}, plugins={"health": True})

    assert statuses(client, "/health/../api/v1/nothing", 2) == [404, 429]


def test_observing_refuses_nothing_and_tells_clients_nothing(start, caplog):
    client = start({"default": "1/minute", "mode": "observe"})

    answers = [client.get(THINGS) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any(name for name in answers[0].headers if "ratelimit" in name)
    (line,) = [record for record in caplog.records if "rate limit would have been exceeded" in record.message]
    assert (line.policy, line.client) == ("default", "address:192.0.2.1")


def test_one_policy_may_be_observed_beside_others_that_are_enforced(start):
    settings = {"default": "3/minute", "policies": {"tried": {"rate": "1/minute", "mode": "observe"}}}
    client = start(settings)

    answer = client.get(THINGS)

    assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert statuses(client, THINGS, 3) == [200, 200, 429]


def test_gcra_admits_its_burst_and_then_the_rate(start, clock):
    client = start({"default": "60/minute", "algorithm": "gcra", "burst": 2})

    assert statuses(client, THINGS, 3) == [200, 200, 429]
    clock.advance(1)
    assert statuses(client, THINGS, 2) == [200, 429]


def test_the_burst_of_gcra_is_a_tenth_of_the_rate_unless_stated(start):
    assert statuses(start({"default": "30/minute", "algorithm": "gcra"}), THINGS, 4) == [200, 200, 200, 429]


def test_a_websocket_handshake_counts_and_is_refused_with_a_real_answer(start):
    client = start({"default": "1/minute"})
    with client.websocket_connect("/api/v1/echo") as websocket:
        assert dict(websocket.extra_headers)[b"x-ratelimit-remaining"] == b"0"

    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/api/v1/echo"):
        pass

    assert (refused.value.status_code, refused.value.headers["retry-after"]) == (429, "60")


def test_messages_of_a_websocket_are_counted_where_a_policy_says_so(start, clock):
    settings = {"policies": {"talk": {"rate": "2/minute", "messages": True}}}
    client = start(settings)
    with client.websocket_connect("/api/v1/echo") as websocket:
        for _ in range(2):
            websocket.send_text("hi")
            assert websocket.receive_text() == "hi"

        websocket.send_text("hi")
        closed = websocket.receive()

    assert (closed["code"], closed["reason"]) == (1008, "RateLimitExceeded")
    assert "talk" not in client.get(THINGS).headers["ratelimit-policy"]


def test_an_author_can_count_messages(start):
    client = start()
    with client.websocket_connect("/api/v1/chat") as websocket:
        for _ in range(2):
            websocket.send_text("hi")
            assert websocket.receive_text() == "hi"

        websocket.send_text("hi")
        assert websocket.receive()["code"] == 1008


def test_without_settings_for_anything_nothing_is_counted(start):
    client = start({"default": None})

    assert statuses(client, THINGS, 100) == [200] * 100
