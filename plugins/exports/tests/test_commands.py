"""`powerstrip export`, as operators type it."""

import gzip
import json

import pytest


@pytest.fixture
def export(type_line, powerstrip_config, sqlite_url):
    """Types `powerstrip export ...` where users and exports are on."""
    users = {"passwords": {"memory_kib": 8, "iterations": 1}}
    path = powerstrip_config({"database": {"url": sqlite_url}, "users": users, "exports": True})
    return lambda *line, command="export": type_line(command, *line, "--config", path)


def test_an_operator_exports_what_there_is(export, tmp_path):
    seeded = export("seed", "300", "--yes", command="users")
    listed = export()
    whole = export("users", "--output", "users.csv")
    chosen = ("--columns", "username", "--filter", "role=guest", "--filter", "sort=username")
    some = export("users", *chosen, "--format", "ndjson", "--compression", "gzip", "--output", "some.gz")

    assert seeded.exit_code == 0, seeded.stderr
    assert listed.stdout.splitlines() == ["audit\taudit\t(users)", "users\tusers\t(users)"]
    assert (whole.exit_code, whole.stdout) == (0, "")
    assert whole.stderr.startswith("300 rows, ")
    assert len((tmp_path / "users.csv").read_text().splitlines()) == 301
    assert some.exit_code == 0, some.stderr
    names = [json.loads(line)["username"] for line in gzip.decompress((tmp_path / "some.gz").read_bytes()).splitlines()]
    assert 10 < len(names) < 100
    assert names == sorted(names)
    assert not [*tmp_path.glob("*.part")]


def test_what_is_typed_wrong_is_a_usage_error_that_says_what_is_right(export, tmp_path):
    unknown = export("orders")
    column = export("users", "--columns", "name", "--output", "users.csv")
    value = export("users", "--filter", "role=king")  # to the standard output, which stays empty
    shape = export("users", "--filter", "role")

    answers = [(answer.exit_code, answer.stdout) for answer in (unknown, column, value, shape)]
    assert answers == [(2, "")] * 4
    assert "audit, users" in unknown.stderr
    assert "no such column" in column.stderr
    assert "'admin', 'moderator', 'user' or 'guest'" in value.stderr
    assert "NAME=VALUE" in shape.stderr
    assert not (tmp_path / "users.csv").exists()
