"""`powerstrip export`, as operators type it."""

import gzip
import subprocess
import sys

import pytest


@pytest.fixture
def export(powerstrip_config, sqlite_url, tmp_path):
    """Types `powerstrip export ...` where users and exports are on."""
    users = {"passwords": {"memory_kib": 8, "iterations": 1}}
    path = powerstrip_config({"database": {"url": sqlite_url}, "users": users, "exports": True})

    def run(*line, command="export"):
        typed = [sys.executable, "-m", "powerstrip", command, *line, "--config", str(path)]
        return subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    seeded = run("seed", "300", "--yes", command="users")
    assert seeded.returncode == 0, seeded.stderr
    return run


def test_an_operator_exports_what_there_is(export, tmp_path):
    listed = export()
    whole = export("users", "--output", "users.csv")
    some = export("users", "--columns", "username", "--filter", "role=guest", "--filter", "sort=username")
    packed = export("users", "--format", "ndjson", "--compression", "gzip", "--output", "users.gz")

    assert listed.stdout.splitlines() == ["audit\taudit\t(users)", "users\tusers\t(users)"]
    assert (whole.returncode, whole.stdout) == (0, "")
    assert whole.stderr.startswith("300 rows, ")
    assert len((tmp_path / "users.csv").read_text().splitlines()) == 301
    names = some.stdout.splitlines()
    assert names[0] == '"username"'
    assert 10 < len(names) < 100
    assert names[1:] == sorted(names[1:])
    assert packed.returncode == 0
    assert gzip.decompress((tmp_path / "users.gz").read_bytes()).count(b"\n") == 300
    assert not [*tmp_path.glob("*.part")]


def test_what_is_typed_wrong_is_a_usage_error_that_says_what_is_right(export, tmp_path):
    unknown = export("orders")
    column = export("users", "--columns", "name", "--output", "users.csv")
    value = export("users", "--filter", "role=king")
    shape = export("users", "--filter", "role")

    answers = [(answer.returncode, answer.stdout) for answer in (unknown, column, value, shape)]
    assert answers == [(2, "")] * 4
    assert "audit, users" in unknown.stderr
    assert "no such column" in column.stderr
    assert "'admin', 'moderator', 'user' or 'guest'" in value.stderr
    assert "NAME=VALUE" in shape.stderr
    assert not (tmp_path / "users.csv").exists()
