"""Up to the step `build` nothing is written, opened for writing, connected or started."""

import json
import subprocess
import sys
from pathlib import Path

WATCHED = """
import json, os, sys, threading

import uvicorn.server  # what only serving needs, and imports by itself
seen = []
WATCHED = ("socket.", "subprocess.", "os.system", "os.fork", "os.mkdir", "os.remove", "os.rename", "sqlite3.")

def watch(event, arguments):
    if event.startswith(WATCHED):
        seen.append([event, str(arguments)[:200]])
    if event == "open":
        path, mode, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and "__pycache__" not in str(path):
            seen.append([event, str(path)])

from powerstrip.host.application import build_application
from powerstrip.host.composition import compose
from powerstrip.host.config.config import load_config
from powerstrip.host.discovery import discover_plugins

sys.addaudithook(watch)
application = build_application(compose(load_config([sys.argv[1]]), discover_plugins()))
application.openapi()
print(json.dumps({"seen": seen, "threads": threading.active_count(), "routes": len(application.routes)}))
"""


def test_everything_before_start_is_free_of_io(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text("app: {docs: on}\nplugins:\n  health: on\n  tracing: on\n  edge: on\n  greeter: on\n")

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(config)], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    outcome = json.loads(done.stdout)
    assert outcome["seen"] == []
    assert outcome["threads"] == 1
    assert outcome["routes"] > 9
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
