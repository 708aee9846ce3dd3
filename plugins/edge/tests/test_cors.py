"""Cross-origin requests."""

import pytest
from pydantic import ValidationError

from powerstrip_edge.settings import CorsSettings

APP = "https://app.example.com"
EVIL = "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}


def cors(**settings):
    return {"cors": {"origins": [APP], **settings}}


def test_an_allowed_origin_may_read_the_answer(start):
    headers = start(cors()).get("/plain", headers={"Origin": APP}).headers

    assert headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in headers
    assert "Origin" in headers["vary"]


def test_an_allowed_origin_may_read_ids_times_and_limits(start):
    headers = start(cors()).get("/plain", headers={"Origin": APP}).headers

    exposed = set(headers["access-control-expose-headers"].split(", "))
    assert exposed >= {"X-Request-ID", "X-Process-Time", "RateLimit", "RateLimit-Policy", "Retry-After"}
    assert exposed >= {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}


@pytest.mark.parametrize(
    "origin", [EVIL, "null", f"{APP}.evil.example", "http://app.example.com", f"{APP}:8443", APP.upper()]
)
def test_another_origin_may_not(start, origin):
    answer = start(cors()).get("/plain", headers={"Origin": origin})

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "Origin" in answer.headers["vary"]


def test_answers_without_an_origin_tell_caches_that_it_matters(start):
    assert "Origin" in start(cors()).get("/plain").headers["vary"]


def test_errors_can_be_read_too(start):
    answer = start(cors()).get("/nowhere", headers={"Origin": APP})

    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == APP


def test_a_preflight_is_answered_at_once(start):
    answer = start(cors()).options("/size", headers={"Origin": APP, **PREFLIGHT})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == APP
    assert "PUT" in answer.headers["access-control-allow-methods"].split(", ")
    assert "Content-Type" in answer.headers["access-control-allow-headers"].split(", ")
    assert answer.headers["access-control-max-age"] == "600"
    assert "Origin" in answer.headers["vary"]


def test_a_preflight_from_another_origin_is_refused(start):
    answer = start(cors()).options("/size", headers={"Origin": EVIL, **PREFLIGHT})

    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "OriginNotAllowed"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "Origin" in answer.headers["vary"]


def test_a_private_network_is_never_opened(start):
    headers = {"Origin": APP, **PREFLIGHT, "Access-Control-Request-Private-Network": "true"}

    assert "access-control-allow-private-network" not in start(cors()).options("/size", headers=headers).headers


def test_options_without_preflight_headers_reaches_the_routes(start):
    assert start(cors()).options("/size", headers={"Origin": APP}).status_code == 405


def test_credentials_name_the_origin(start):
    headers = start(cors(credentials=True)).get("/plain", headers={"Origin": APP}).headers

    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-origin"] == APP


def test_credentials_are_not_offered_to_another_origin(start):
    headers = start(cors(credentials=True)).get("/plain", headers={"Origin": EVIL}).headers

    assert "access-control-allow-credentials" not in headers


def test_a_star_is_answered_with_a_star_and_without_vary(start):
    headers = start({"cors": {"origins": ["*"]}}).get("/plain", headers={"Origin": EVIL}).headers

    assert headers["access-control-allow-origin"] == "*"
    assert "origin" not in headers.get("vary", "").lower()


def test_an_expression_has_to_match_the_whole_origin(start):
    client = start({"cors": {"origin_regex": r"https://[a-z]+\.example\.com"}})

    def allowed(origin):
        return "access-control-allow-origin" in client.get("/plain", headers={"Origin": origin}).headers

    assert allowed("https://any.example.com")
    assert not allowed("https://any.example.com.evil.example")
    assert not allowed("https://evil.example?https://any.example.com")


@pytest.mark.parametrize("length", [250, 20_000])
def test_an_origin_that_is_made_to_keep_the_expression_busy_is_refused_at_once(start, length):
    client = start({"cors": {"origin_regex": r"https://(a+)+\.example\.com"}})

    headers = client.get("/plain", headers={"Origin": f"https://{'a' * length}!"}).headers

    assert "access-control-allow-origin" not in headers


def test_any_request_header_is_allowed_by_name(start):
    answer = start(cors(headers=["*"])).options("/size", headers={"Origin": APP, **PREFLIGHT})

    assert answer.headers["access-control-allow-headers"] == "content-type"
    assert "Access-Control-Request-Headers" in answer.headers["vary"]


def test_a_route_that_answers_cors_itself_does_not_send_two_origins(start):
    client = start(cors())

    answer = client.get("/answer?Access-Control-Allow-Origin=https://other.example", headers={"Origin": APP})

    assert answer.headers.get_list("access-control-allow-origin") == [APP]


def test_without_origins_nothing_is_said(start):
    headers = start().get("/plain", headers={"Origin": APP}).headers

    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"origins": ["*"], "credentials": True}, "name the origins"),
        ({"origins": ["null"], "credentials": True}, "name the origins"),
        ({"origin_regex": ".*", "credentials": True}, "origin_regex matches"),
        ({"origin_regex": "https://.+", "credentials": True}, "origin_regex matches"),
        ({"origin_regex": "("}, "not a regular expression"),
        ({"origin_regex": "https://(?!evil).*"}, "look-around"),
        ({"origins": ["https://app.example.com/"]}, "origins.0"),
        ({"origins": ["app.example.com"]}, "origins.0"),
        ({"methods": ["GET, POST"]}, "methods.0"),
    ],
)
def test_settings_that_open_everything_or_nothing_are_refused(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        CorsSettings.model_validate(settings)
