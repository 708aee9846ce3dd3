"""`powerstrip serve`: the API, running."""

import json
from typing import Annotated

import typer

from powerstrip.cli.arguments import ConfigArguments, ConfigFiles, Overrides
from powerstrip.host import server


def serve(
    config: ConfigFiles = None,
    overrides: Overrides = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; overrides server.host.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; overrides server.port.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of processes; overrides server.workers.")
    ] = None,
) -> None:
    """Serve the API until SIGTERM or SIGINT; a second signal stops at once."""
    source = ConfigArguments.of(config, overrides)
    options = (("server.host", host), ("server.port", port), ("server.workers", workers))
    # As JSON, which YAML reads alike: an address such as `::1` stays text.
    stated = [f"{key}={json.dumps(value)}" for key, value in options if value is not None]
    server.serve(source.files, [*source.overrides, *stated])
