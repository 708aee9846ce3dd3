"""What edge registers."""

import pytest

from powerstrip_edge.plugin import Edge
from powerstrip_edge.settings import EdgeSettings

ALL_OFF = {"max_body_size": None, "security_headers": {"enabled": False}, "compression": {"enabled": False}}


def registered(settings):
    plugin = Edge("edge", EdgeSettings.model_validate(settings))
    interceptors = [type(interceptor).__name__ for interceptor in plugin.register_interceptors()]
    return interceptors, [middleware.cls.__name__ for middleware in plugin.register_middleware()]


def test_what_is_off_is_not_there():
    assert registered(ALL_OFF) == ([], [])


def test_the_defaults_are_headers_body_limit_and_compression():
    assert registered({}) == (["SecurityHeaders", "BodyLength"], ["BodyLimit", "Compression"])


def test_with_all_on_refusals_carry_the_headers_of_what_stands_before():
    interceptors, _ = registered(
        {
            "hosts": ["a.example"],
            "cors": {"origins": ["https://b.example"]},
            "proxies": {"unix_sockets": True},
            "session": {"secret_key": "k" * 32},
        }
    )

    assert interceptors == [
        "TrustedProxies",
        "SecurityHeaders",
        "TrustedHosts",
        "CrossOrigin",
        "BodyLength",
        "SessionCookie",
    ]


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({}, []),
        ({"session": {"secret_key": "k" * 32}, "proxies": {"networks": ["10.0.0.0/8"]}}, []),
        ({"session": {"https_only": False}}, []),
        ({"session": {"secret_key": "k" * 32, "https_only": False}}, ["edge.cookie-without-https"]),
        ({"proxies": {"networks": ["0.0.0.0/0", "::/0"]}}, ["edge.everyone-is-a-proxy"] * 2),
    ],
)
def test_a_strict_check_warns_of_what_is_not_fit_for_production(compose, settings, codes):
    findings = compose(settings).state.powerstrip.strict_findings()

    assert [(finding.code, finding.plugin) for finding in findings] == [(code, "edge") for code in codes]
