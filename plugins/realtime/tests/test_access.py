"""A connection ends at once when its user may no longer do what it could."""

import pytest

EVENTS = [
    ("user.suspended", {"user_id": "ann", "access_changed": True}, 4003),
    ("user.deleted", {"user_id": "ann", "access_changed": True}, 4003),
    ("user.updated", {"user_id": "ann", "fields": ["role"], "access_changed": True}, 4003),
    ("users.bulk_updated", {"user_ids": ["zoe", "ann"], "access_changed": True}, 4003),
    ("session.revoked", {"user_id": "ann", "session_ids": ["ann-1"], "access_changed": True}, 4505),
]


@pytest.mark.parametrize(("kind", "data", "code"), EVENTS, ids=[kind for kind, _, _ in EVENTS])
async def test_what_takes_access_away_closes_the_users_sockets(api, kind, data, code):
    async with api.socket(api.ann) as ann, api.socket(api.bob) as bob:
        await api.publish(kind, data, kind)

        assert (await ann.closed()).code == code
        assert await bob.is_silent()


@pytest.mark.parametrize(("kind", "data", "code"), EVENTS, ids=[kind for kind, _, _ in EVENTS])
async def test_and_the_users_streams(api, kind, data, code):
    async with api.stream(api.ann) as ann:
        await api.publish(kind, data, kind)

        assert (await ann.next())["data"]["code"] == code
        await ann.closed()


async def test_the_end_of_a_session_leaves_the_users_other_sessions_alone(api):
    async with api.socket(api.ann) as ann:
        data = {"user_id": "ann", "session_ids": ["ann-2"], "access_changed": True}
        await api.publish("session.revoked", data, "session.revoked")

        assert await ann.is_silent()


async def test_a_change_that_takes_nothing_away_closes_nothing(api):
    async with api.socket(api.ann) as ann:
        data = {"user_id": "ann", "fields": ["full_name"], "access_changed": False}
        await api.publish("user.updated", data, "user.updated")

        assert await ann.is_silent()


async def test_nothing_is_sent_after_access_was_taken_away(api):
    async with api.socket(api.ann) as ann:
        data = {"user_id": "ann", "access_changed": True}
        await api.publish("user.suspended", data, "user.suspended")
        await api.publish("user:ann", "secret")

        assert (await ann.closed()).code == 4003
