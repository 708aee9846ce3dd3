"""The README tells what the plugin takes and answers; `tests/test_docs.py` runs its blocks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from powerstrip_users import __all__ as public_names
from powerstrip_users.settings import UsersSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The settings by their dotted names; a section stands for what is in it."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if section is None:
            yield prefix + name
        else:
            yield from names(section, f"{prefix}{name}.")


@pytest.mark.parametrize("setting", list(names(UsersSettings)))
def test_each_setting_stands_in_a_table(setting):
    assert re.search(rf"^\| `{re.escape(setting)}` \|", README, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(public_names))
def test_each_public_name_is_told(name):
    assert f"| `{name}` |" in README


def test_the_routes_in_the_table_are_those_that_answer(powerstrip_client):
    with powerstrip_client({"database": True, "users": True}, app={"docs": True}) as client:
        paths = client.get("/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}

    rows = re.findall(r"^\| `([A-Z].*?)` \|", README, re.MULTILINE)
    told = {f"{method} {row.rpartition(' ')[2]}" for row in rows for method in re.findall(r"[A-Z]{3,}", row)}
    assert told == {re.sub(r"\{\w*id\}", "{id}", operation) for operation in operations}
