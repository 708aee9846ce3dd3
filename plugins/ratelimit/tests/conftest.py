"""What the tests of ratelimit share."""

from importlib import import_module
from pathlib import Path

import pytest

from powerstrip_ratelimit.stores.memory import MemoryStore


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Moment:
    """A clock in microseconds that a test sets."""

    def __init__(self):
        self.at = 0

    def __call__(self):
        return self.at


@pytest.fixture
def moment():
    return Moment()


@pytest.fixture
def make_reference(monkeypatch):
    """Makes a store that works every answer out from the rules: `make_reference(now)`."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return import_module("ratelimit_reference").ReferenceStore


@pytest.fixture(params=["reference", "memory"])
def store(request, moment, make_reference):
    """Each store in turn, on the test's own time."""
    if request.param == "reference":
        return make_reference(moment)
    return MemoryStore(moment, max_keys=1000)
