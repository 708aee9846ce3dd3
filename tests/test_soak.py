"""Connections, workers and Valkey are killed under load: the short version of `make soak`."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.soak.audience import Heard, complaints
from benchmarks.soak.generations import Held
from benchmarks.soak.generations import broken_promises as broken_promises_of_a_process
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


@pytest.mark.parametrize(
    ("numbers", "offsets", "count"),
    [
        ([0, 1, 2], [4, 5, 6], 0),
        ([1, 0, 2], [4, 5, 6], 0),  # two processes publish beside one another
        ([0, 2], [4, 6], 1),
        ([0, 1, 1, 2], [4, 5, 5, 6], 2),
        ([1, 0, 2], [5, 4, 6], 1),
        ([0, 1, 2, 7], [4, 5, 6, 7], 1),
    ],
)
def test_the_judge_of_reloads_wants_all_events_once_in_the_order_of_the_log(numbers, offsets, count):
    assert len(complaints([_heard(numbers, offsets)], sent=3)) == count


def test_the_judge_of_reloads_wants_one_order_for_all():
    one, other = _heard([0, 1, 2], [4, 5, 6]), _heard([1, 0, 2], [4, 5, 6])

    assert complaints([one, other], sent=3) == ["2 connections heard the events in 2 different orders"]


@pytest.mark.parametrize(
    ("looks", "broken"),
    [
        ([(150, 20, 20), (160, 21, 20), (160, 20, 20), (161, 21, 20)], []),
        ([(150, 20, 20), (160, 20, 20), (163, 20, 20), (165, 20, 20)], ["memory grew from 160.0 to 165.0 MiB"]),
        ([(150, 20, 20), (150, 20, 20), (150, 21, 20), (150, 20, 20)], ["tasks grew from 20 to 21"]),
        ([(150, 20, 20), (150, 20, 20), (150, 20, 20), (150, 20, 22)], ["descriptors grew from 20 to 22"]),
    ],
)
def test_the_judge_of_generations_sees_what_grows(looks, broken):
    found = broken_promises_of_a_process([Held(*look) for look in looks])

    assert [one.removesuffix(" in the second half") for one in found] == broken


def _heard(numbers, offsets):
    return Heard("a connection", numbers, [("epoch", offset) for offset in offsets])
