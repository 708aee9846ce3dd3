"""Serves one peer under uvicorn with what `powerstrip serve` gives it: fast parser and loop, no access log."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn

from benchmarks.peers.fastapi_peers import bare_fastapi, hand_wired_fastapi
from benchmarks.peers.litestar_peer import litestar_peer
from benchmarks.sections.request_path import answer_at_once


def main() -> None:
    """Serve until terminated."""
    peers: Mapping[str, Callable[[], Any]] = {
        "floor": lambda: answer_at_once,
        "bare": bare_fastapi,
        "hand-wired": hand_wired_fastapi,
        "litestar": litestar_peer,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=list(peers))
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    app = peers[arguments.peer]()
    uvicorn.run(
        app,
        port=arguments.port,
        lifespan="off" if arguments.peer == "floor" else "on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
