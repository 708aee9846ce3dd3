"""An application composed for one test, behind a client that starts and stops it."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from powerstrip.contract.clock import Clock
from powerstrip.contract.identity import Identity
from powerstrip.host.generation import create_app
from powerstrip.testing.config import ConfigBuilder
from powerstrip.testing.identity import NAME as FAKE_IDENTITY
from powerstrip.testing.identity import signed_in
from powerstrip.testing.installed import PluginClasses, discovery_with


def compose_application(
    config: ConfigBuilder,
    plugins: Mapping[str, Any],
    *,
    extra: PluginClasses | None = None,
    identity: Identity | None = None,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    **sections: Any,
) -> FastAPI:
    """The application of a config that is written for the purpose; an `identity` switches `fake_identity` on.

    Raises ConfigError, CompositionError or BuildError with every finding.
    """
    if identity is not None:
        plugins = {FAKE_IDENTITY: True, **plugins}
    path = config(plugins, **sections)
    return create_app(path, environ=environ or {}, discovery=discovery_with(extra or {}), clock=clock)


class ClientFactory:
    """Makes test clients: `with powerstrip_client({"greeter": {"language": "fr"}}) as client: ...`

    Entering the client starts the plugins, leaving it stops them. WebSockets work.
    """

    def __init__(self, config: ConfigBuilder) -> None:
        self._config = config

    def __call__(
        self,
        plugins: Mapping[str, Any],
        *,
        extra: PluginClasses | None = None,
        identity: Identity | None = None,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        **sections: Any,
    ) -> TestClient:
        """A client of the application of these plugins.

        - `plugins`: their sections by name, `True` for defaults; `sections` are the core's (`app={"debug": True}`);
        - `extra`: plugin classes of the test itself, by name; they still have to be listed in `plugins`;
        - `identity`: who every request comes from, unless its headers are `signed_in(somebody_else)`;
        - `clock`: what the plugins' `services[Clock]` is;
        - `environ`: the environment for `${VAR}` and `POWERSTRIP__...`, empty unless stated.
        """
        application = compose_application(
            self._config, plugins, extra=extra, identity=identity, clock=clock, environ=environ, **sections
        )
        headers = signed_in(identity) if identity is not None else None
        return TestClient(application, headers=headers)
