"""What the tests of ratelimit share."""

import pytest


@pytest.fixture
def anyio_backend():
    return "asyncio"
