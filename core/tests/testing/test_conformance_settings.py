"""The suite wants plugins and settings to be explained, and wrong settings to be refused."""

from typing import Any

from core.tests.testing.subjects import Subject, complaint
from pydantic import BaseModel, ConfigDict, field_validator

from powerstrip import (
    Plugin,
    PluginSettings,
)


class Silent(Subject):
    __doc__ = None


def test_a_class_must_have_a_docstring(tmp_path):
    assert "Silent has no docstring" in complaint(Silent, "it_explains_itself_and_its_settings", tmp_path)


class Nested(BaseModel):
    depth: int = 1


class UndocumentedSettings(PluginSettings):
    speed: int = 1
    nested: Nested = Nested()
    """Nested settings."""


class Undocumented(Subject, Plugin[UndocumentedSettings]):
    """Its settings are a riddle."""


def test_every_setting_must_have_a_description(tmp_path):
    told = complaint(Undocumented, "it_explains_itself_and_its_settings", tmp_path)

    assert "operators can't know what these settings mean: speed, Nested.depth." in told


class TolerantSettings(PluginSettings):
    model_config = ConfigDict(extra="ignore")


class Tolerant(Subject, Plugin[TolerantSettings]):
    """Overlooks mistyped keys."""


def test_unknown_settings_must_be_refused(tmp_path):
    assert "a mistyped key is accepted" in complaint(Tolerant, "it_refuses_a_setting_that_it_does_not_know", tmp_path)


class GreedySettings(PluginSettings):
    anything: dict[str, Any] | list[Any] | str | float = 1.0
    """Takes everything without saying so."""

    untyped: Any = None
    """Takes everything, and says so: fine."""


class Greedy(Subject, Plugin[GreedySettings]):
    """Takes what it gets."""


def test_a_setting_must_have_a_type(tmp_path):
    told = complaint(Greedy, "it_refuses_settings_of_wrong_types", tmp_path)

    assert "the setting 'anything' accepts an object, a list, a text and a negative number" in told


class FragileSettings(PluginSettings):
    name: str = "x"
    """Its validator takes text for granted."""

    @field_validator("name", mode="before")
    @classmethod
    def _stripped(cls, value):
        return value.strip()


class Fragile(Subject, Plugin[FragileSettings]):
    """Breaks when it is given a number."""


def test_a_validator_may_not_break_on_a_wrong_type(tmp_path):
    told = complaint(Fragile, "it_refuses_settings_of_wrong_types", tmp_path)

    assert "AttributeError" in told
    assert "let validators raise ValueError" in told
