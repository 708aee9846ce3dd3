"""What edge registers."""

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
