"""The shop as a plugin, with and without the plugins that bring the features."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from benchmarks.asgi_client import HOST, ORIGIN
from benchmarks.distributions import write_config, write_distribution
from benchmarks.peers import features
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.supervisor import Supervisor

SHOP = "shop: on"
TRACING = "tracing: {access_log: off}"
# Feature: how edge is told to do it, and not to.
EDGE_FEATURES: Mapping[str, tuple[str, str]] = {
    "security headers": ("security_headers: {enabled: on}", "security_headers: {enabled: off}"),
    "trusted hosts": (f"hosts: [{HOST}, 127.0.0.1]", "hosts: []"),
    "CORS": (
        (
            f'cors: {{origins: ["{ORIGIN}"], methods: [GET, POST], credentials: on, '
            f"expose_headers: [{', '.join(features.EXPOSED_HEADERS)}]}}"
        ),
        "cors: {origins: []}",
    ),
    "sessions": (f'session: {{secret_key: "{features.SECRET_KEY}"}}', "session: {}"),
    "body limit": (f"max_body_size: {features.MAX_BODY_SIZE}", "max_body_size: null"),
    "gzip": (
        f"compression: {{encodings: [gzip], minimum_size: {features.MINIMUM_COMPRESSED}}}",
        "compression: {enabled: off}",
    ),
}


def edge(without: Collection[str] = ()) -> str:
    """The section of edge, with all features but some."""
    return "\n  ".join(["edge:", *(off if name in without else on for name, (on, off) in EDGE_FEATURES.items())])


def with_features(without: Collection[str] = ()) -> str:
    """The plugins of the whole shop."""
    return "\n".join((TRACING, edge(without), SHOP))


def install_shop(folder: Path) -> None:
    """Make the shop an installed plugin of this process."""
    write_distribution(folder, "shop", "benchmarks.peers.shop:Shop")
    sys.path.insert(0, str(folder))


def powerstrip_app(folder: Path, name: str, plugins: str) -> Dispatcher:
    """What `powerstrip serve` gives to the server: requests lease a generation and are answered by it."""
    return Dispatcher(new_supervisor(folder, name, plugins), on_failure=raise_it)


def new_supervisor(folder: Path, name: str, plugins: str) -> Supervisor:
    """A supervisor of a config with these plugins."""
    return Supervisor([write_config(folder / f"{name}.yaml", plugins)])


def raise_it(error: Exception) -> None:
    """Don't go on without an application."""
    raise error
