"""Limits are exact with several workers, and survive their store: the short version of `make limits`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_clients_of_several_processes_get_the_limit_and_no_more():
    """By each algorithm and by several policies at once, and nobody gets an error because connections run out."""
    done = run("exactness", "--workers", "2", "--clients", "100", "--limit", "150")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "sliding: 2 processes x 100 clients, 200: 150, 429: 250" in done.stdout


def test_no_timing_gets_more_than_the_limit_in_any_window():
    """Judged by the server's clock: a slow machine makes an adversary weaker, and never finds a window too full."""
    done = run("adversary", "--seconds", "0.1", "--period", "0.2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "in any window" in done.stdout


def test_whatever_happens_to_the_server_clients_notice_nothing_but_what_the_operator_wants():
    # Less than the 250 ms that each would wait for the server; how much less is for `make limits` to measure.
    done = run("faults", "--seconds", "0.3", "--added", "100")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise kept" in done.stdout


def run(only, *options):
    command = [sys.executable, "-m", "benchmarks.limits", "--only", only, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
