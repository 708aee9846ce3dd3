"""A command line to type into, and distributions to find: metadata and modules on `sys.path`, as pip leaves them."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from powerstrip.cli.main import build_command_line

_PLUGIN = """
import asyncio
from contextlib import asynccontextmanager

import typer
from fastapi import APIRouter, Depends, WebSocket
from pydantic import SecretStr
from powerstrip import *

PATH = "{name}"


class Plain(Plugin[PluginSettings]):
    pass


class Strange(Plain):
    pass


"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment that names no config."""
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    monkeypatch.delenv("POWERSTRIP_CONFIG", raising=False)
    return working


@pytest.fixture
def run(folder: Path) -> Callable[..., object]:
    """Types `powerstrip ...`; gives exit_code, stdout and stderr."""

    def type_line(*line: str):
        return CliRunner().invoke(build_command_line(), line, prog_name="powerstrip")

    return type_line


@pytest.fixture
def write_config(folder: Path) -> Callable[..., Path]:
    """Writes `config/config.yaml`, which every command reads unless told otherwise."""

    def write(text: str, name: str = "config/config.yaml") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed distributions; what is imported from it is forgotten again."""
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    before = set(sys.modules)
    yield path
    for name in set(sys.modules) - before:
        if str(path) in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Callable[..., None]:
    """Installs a plugin: its module is `strange_NAME`, its class `Strange`, which `code` may define."""

    def put(name: str, code: str = "", *, distribution: str | None = None) -> None:
        distribution = distribution or f"strange-{name}"
        (site / f"strange_{name}.py").write_text(_PLUGIN.format(name=name) + dedent(code), encoding="utf-8")
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\nSummary: Strange\n")
        (info / "entry_points.txt").write_text(f"[powerstrip.plugins]\n{name} = strange_{name}:Strange\n")

    return put


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leaves logging as it was before a command configured it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
