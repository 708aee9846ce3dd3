"""Fixtures that several distributions share."""

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store
from typer.testing import CliRunner

from powerstrip.cli.main import build_command_line

pytest_plugins = ["powerstrip_database.testing", "powerstrip_redis.testing"]

START_LIMIT = 100.0  # seconds, on a machine that does much else


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take long begins first: the end is not one process with a long test and others with none."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


class BucketServer:
    """A SeaweedFS of the tests' own, which speaks the protocol of S3. It has room for one bucket, made by the first
    write: tests stay apart by a prefix."""

    bucket = "tests"
    key_id = "tests"
    secret = "the secret of the tests"  # noqa: S105 - it is none

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        identity = {"name": "tests", "actions": ["Admin", "Read", "Write", "List"]}
        identity["credentials"] = [{"accessKey": self.key_id, "secretKey": self.secret}]
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        s3, master, volume, filer, s3_grpc, master_grpc, volume_grpc, filer_grpc = _free_ports(8)
        self._port = s3
        options = {"s3.config": self._folder / "s3.json", "dir": self._folder, "ip": "127.0.0.1"}
        options |= {"ip.bind": "127.0.0.1", "master.volumeSizeLimitMB": 64, "volume.max": 8, "s3.iam": "false"}
        # What is of no use here, or leaves the machine.
        options |= {"s3.port.iceberg": 0, "s3.port.lance": 0, "master.telemetry": "false"}
        options |= {"s3.port": s3, "master.port": master, "volume.port": volume, "filer.port": filer}
        options |= {"s3.port.grpc": s3_grpc, "master.port.grpc": master_grpc}
        options |= {"volume.port.grpc": volume_grpc, "filer.port.grpc": filer_grpc}
        command = [Path(sys.executable).with_name("weed"), "server", "-s3", "-s3.autoCreateBucket"]
        command += [f"-{name}={value}" for name, value in options.items()]
        with (self._folder / "weed.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command

    def wait(self) -> None:
        """Return when it stores what it is sent."""
        deadline = time.monotonic() + START_LIMIT
        while not self._stores():
            if time.monotonic() > deadline:
                raise RuntimeError((self._folder / "weed.log").read_text())
            if self._process is None or self._process.poll() is not None:
                self.start()  # somebody was faster with one of the ports
            time.sleep(0.2)

    def _stores(self) -> bool:
        key = {"access_key_id": self.key_id, "secret_access_key": self.secret, "region": "us-east-1"}
        store = S3Store(self.bucket, endpoint=self.endpoint, client_options={"allow_http": True}, **key)
        try:
            obstore.put(store, "ready", b"yes")
        except (OSError, BaseError):
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    """A server that speaks the protocol of S3, for the whole run."""
    server = BucketServer(tmp_path_factory.mktemp("buckets"))
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def type_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Types `powerstrip ...` in the test's folder, and `input` when it asks; gives exit_code, stdout and stderr.

    In this process: another one would import everything first, which takes most of two seconds. That the command works
    in one of its own is tested where the command line is, and by the documentation.
    """
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def type_line(*line: object, **options: Any) -> Any:
        typed = [str(word) for word in line]
        return CliRunner().invoke(
            build_command_line(), typed, prog_name="powerstrip", catch_exceptions=False, **options
        )

    yield type_line
    root.handlers[:] = handlers
    root.setLevel(level)
