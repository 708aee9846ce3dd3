"""What stays when somebody leaves: nothing of theirs, everything of others."""

from uuid import uuid4

import pytest

from powerstrip import Identity
from powerstrip.testing import signed_in

ADMIN = Identity(str(uuid4()), roles=frozenset({"admin"}), permissions=frozenset({"users:delete"}))


@pytest.fixture
def client(powerstrip_client, plugins):
    """Knows admins by a header too."""
    with powerstrip_client({**plugins, "fake_identity": True}) as client:
        yield client


def test_with_an_account_its_posts_and_follows_go(client, ada, grace):
    ada.write("from Ada")
    grace.write("from Grace")
    ada.follow(grace)
    grace.follow(ada)

    assert client.delete(f"/api/v1/users/{ada.id}", headers=signed_in(ADMIN)).status_code == 204
    assert grace.texts("/posts") == ["from Grace"]
    assert grace.numbers() == {"posts_count": 1, "followers_count": 0, "following_count": 0}
