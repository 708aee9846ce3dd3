"""One start in a fresh process: composes, builds, starts and answers one request, then prints what it took as JSON.

Not counted is what both sides import anyway: FastAPI, and Powerstrip's host. Counted are the plugins' own
modules, compiled, on both sides.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.asgi_client import call, request_scope, running
from benchmarks.peers.powerstrip_configs import raise_it
from benchmarks.sections.route_index import fastapi_with_routers
from powerstrip.host.asgi import Dispatcher
from powerstrip.host.supervisor import Supervisor


def main() -> None:
    """Start one side and ask it one thing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="start Powerstrip with this file")
    parser.add_argument("--routers", nargs="*", help="include the routers of these plugins in FastAPI")
    parser.add_argument("--path", required=True, help="what the first request asks for")
    arguments = parser.parse_args()
    started = perf_counter()
    if arguments.config:
        app: Any = Dispatcher(Supervisor([arguments.config]), on_failure=raise_it)
    else:
        app = fastapi_with_routers(arguments.routers)
    answered = asyncio.run(_first_request(app, arguments.path))
    packages = sorted({name.partition(".")[0] for name in sys.modules if name.startswith("powerstrip_")})
    print(json.dumps({"milliseconds": (answered - started) * 1000, "packages": packages}))


async def _first_request(app: Any, path: str) -> float:
    async with running(app):
        answer = await call(app, request_scope("GET", path))
        answered = perf_counter()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered {answer.status}")
    return answered


if __name__ == "__main__":
    main()
