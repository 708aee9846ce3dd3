"""Connections, workers and Valkey are killed under load: the short version of `make soak`."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.soak.listeners import LOSS, broken_promises

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(600)
def test_every_client_has_every_event_once_or_was_told():
    command = [sys.executable, "-m", "benchmarks.soak", "loss", "--clients", "40", "--seconds", "15", "--rate", "40"]
    done = subprocess.run([*command, "--haste", "5"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise kept" in done.stdout


@pytest.mark.parametrize(
    ("journal", "complaints"),
    [
        ([1, 2, 3, 4], 0),
        ([1, 2, 2, 3, 4], 1),
        ([1, 4], 2),
        ([1, LOSS, 4], 0),
        ([LOSS, 1, 4], 2),
        ([1, 4, LOSS], 2),
        ([1, 2, LOSS], 0),
        ([], 4),
        ([1, 99, 2, 3, 4], 0),
    ],
)
def test_the_judge_of_the_soak_sees_what_is_lost_and_what_comes_twice(journal, complaints):
    assert len(broken_promises(journal, [1, 2, 3, 4])) == complaints
