"""Settings that work and are not fit for production."""

from collections.abc import Iterator

from powerstrip import Finding
from powerstrip_edge.settings import EdgeSettings


def weaknesses(settings: EdgeSettings) -> Iterator[Finding]:
    """What `powerstrip check --strict` warns of."""
    if settings.session.keys and not settings.session.https_only:
        yield Finding(
            "edge.cookie-without-https",
            "the session cookie is also sent over http, where anyone on the way can take it",
            hint="switch 'session.https_only' on",
            level="warning",
        )
    for network in settings.proxies.networks:
        if network.prefixlen == 0:
            yield Finding(
                "edge.everyone-is-a-proxy",
                f"'proxies.networks' holds {network}: every client can claim any address",
                hint="name the proxies' own addresses",
                level="warning",
            )
