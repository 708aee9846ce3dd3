"""Broken configs and what an operator reads about them, side by side in `golden/`.

`NAME.yaml` is loaded, then `NAME.over.yaml`, with the variables of `NAME.env` and the `--set` options of `NAME.set`
where these files exist; the settings of the plugins that are on are checked against the classes below. `NAME.expected`
is what comes out. `POWERSTRIP_WRITE_GOLDEN=1` writes it anew: read the difference before you commit it.
"""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, Secret, SecretStr, field_validator, model_validator

from powerstrip import ConfigError, Finding, PluginSettings
from powerstrip.host.config.config import load_config
from powerstrip.host.config.report import render_finding

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.yaml") if not path.stem.endswith(".over"))
WRITE = "POWERSTRIP_WRITE_GOLDEN" in os.environ


class MailSettings(PluginSettings):
    host: str
    port: int = Field(default=25, ge=1, le=65_535)
    password: SecretStr | None = None


class UsersSettings(PluginSettings):
    secret_key: SecretStr = Field(default=SecretStr("change me"), min_length=8)
    pin: Secret[int] | None = None
    url: str = "sqlite://"
    country: str = "CH"
    lifetime: float = Field(default=60, gt=0)
    tags: list[str] = Field(default=[], max_length=3)
    limits: dict[str, int] = Field(default={})
    names: dict[int, str] = Field(default={})
    mode: Literal["open", "closed", "off"] = "open"
    cache: int | Literal["auto"] = "auto"
    greeting: str = Field(default="Hi", min_length=2, max_length=12)
    code: str = Field(default="A1", pattern="^[A-Z][0-9]$")
    """A capital letter and a digit."""
    since: date = date(2020, 1, 1)
    tokens: list[SecretStr] = Field(default=[])
    mail: MailSettings | None = None
    relay: MailSettings | str | None = None
    verbose: bool = False

    @field_validator("url")
    @classmethod
    def _names_a_database(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError(f"'{url}' does not name a database")
        return url

    @model_validator(mode="after")
    def _key_is_no_url(self) -> "UsersSettings":
        if self.secret_key.get_secret_value() == self.url:
            raise ValueError(f"the key {self.secret_key.get_secret_value()} is the url")
        return self


class NamedSettings(PluginSettings):
    name: str
    size: Annotated[int, Field(multiple_of=4)] = 4


SETTINGS_TYPES = {"users": UsersSettings, "named": NamedSettings}


def findings_of(name: str) -> Iterator[Finding]:
    layers = [f"{name}.yaml", *([f"{name}.over.yaml"] if Path(f"{name}.over.yaml").exists() else [])]
    environ = dict(line.split("=", 1) for line in lines_of(f"{name}.env"))
    try:
        config = load_config(layers, lines_of(f"{name}.set"), environ)
    except ConfigError as error:
        yield from error.findings
        return
    yield from config.findings
    for plugin, section in config.plugins.items():
        if section.enabled and plugin in SETTINGS_TYPES:
            try:
                config.settings_of(plugin, SETTINGS_TYPES[plugin])
            except ConfigError as error:
                yield from error.findings


def lines_of(name: str) -> list[str]:
    return Path(name).read_text(encoding="utf-8").splitlines() if Path(name).exists() else []


def described(finding: Finding) -> str:
    owner = f"  (plugin {finding.plugin})\n" if finding.plugin else ""
    return f"{render_finding(finding)}\n{owner}"


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_config_is_reported_as_its_golden_file_says(name, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    expected = GOLDEN / f"{name}.expected"

    found = "\n".join(described(finding) for finding in findings_of(name))
    if WRITE:
        expected.write_text(found, encoding="utf-8")

    assert found == expected.read_text(encoding="utf-8")
    assert found


def test_there_are_at_least_eighty_broken_configs():
    assert len(NAMES) >= 80


def test_no_golden_file_shows_a_secret():
    """Whatever is secret in a golden config has `hunter2` in it."""
    telling = [path.name for path in GOLDEN.glob("*.expected") if "hunter2" in path.read_text(encoding="utf-8")]

    assert telling == []
