"""The served process is killed under load: the short version of `make crash`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_answered_outlives_the_process_and_nothing_is_half_done(database):
    """Each 201 has its account and its mail, each change its line in the audit log, each picture is whole."""
    command = [sys.executable, "-m", "benchmarks.crash", "--kills", "2", "--database", database]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise kept" in done.stdout
