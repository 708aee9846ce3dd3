"""Security headers."""

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from powerstrip_edge.settings import SecurityHeadersSettings


def test_an_answer_carries_them_by_default(start):
    headers = start().get("/plain").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/size", 405)])
def test_errors_carry_them_too(start, path, status):
    answer = start().get(path)

    assert answer.status_code == status
    assert answer.headers["x-frame-options"] == "DENY"


def test_transport_security_is_for_https_only(start):
    assert "strict-transport-security" not in start().get("/plain").headers
    assert start(base_url="https://testserver").get("/plain").headers["strict-transport-security"] == "max-age=31536000"


def test_what_a_route_sets_stays(start):
    answer = start().get("/answer?X-Frame-Options=SAMEORIGIN&content-security-policy=default-src 'self'")

    assert answer.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_single_ones_can_be_changed_or_left_out(start):
    headers = (
        start({"security_headers": {"frame_options": None, "permissions_policy": "camera=()"}}).get("/plain").headers
    )

    assert "x-frame-options" not in headers
    assert headers["permissions-policy"] == "camera=()"


def test_switched_off_none_is_sent(start):
    headers = start({"security_headers": {"enabled": False}}).get("/plain").headers

    assert "x-frame-options" not in headers
    assert "content-security-policy" not in headers


def test_the_docs_keep_their_own_policy(compose):
    with TestClient(compose(app={"docs": True})) as client:
        policy = client.get("/docs").headers["content-security-policy"]

    assert "'self'" in policy


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "", " a", "ä"])
def test_values_that_are_no_header_are_refused(value):
    with pytest.raises(ValidationError):
        SecurityHeadersSettings.model_validate({"referrer_policy": value})
