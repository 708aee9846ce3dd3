from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from powerstrip.host.config.config import Config, load_config


class Load(Protocol):
    def __call__(self, text: str | bytes, *overrides: str, environ: Mapping[str, str] | None = None) -> Config: ...


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory, so that positions name files as an operator would."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder) -> Load:
    """Writes `config.yaml` and loads it; the environment is empty unless given."""

    def write_and_load(text: str | bytes, *overrides: str, environ: Mapping[str, str] | None = None) -> Config:
        content = text if isinstance(text, bytes) else text.encode()
        (folder / "config.yaml").write_bytes(content)
        return load_config(["config.yaml"], overrides, environ or {})

    return write_and_load


@pytest.fixture
def load_layers(folder):
    """Writes `1.yaml`, `2.yaml`, ... and loads them in this order."""

    def write_and_load(*texts: str, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Config:
        names = [f"{number}.yaml" for number in range(1, len(texts) + 1)]
        for name, text in zip(names, texts, strict=True):
            (folder / name).write_text(text)
        return load_config(names, overrides, environ or {})

    return write_and_load
