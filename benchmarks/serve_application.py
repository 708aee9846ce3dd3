"""Serves the application of a config as `powerstrip serve` does, but for good: nothing stands before it."""

import argparse
from pathlib import Path

import uvicorn

import powerstrip
from powerstrip.host.connection import ServerConfig


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    application = powerstrip.create_app(arguments.config)
    server = application.state.powerstrip.composition.config.server
    config = ServerConfig(
        application,
        port=arguments.port,
        header_timeout=server.header_timeout,
        max_header_size=server.max_header_size,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_per_message_deflate=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
