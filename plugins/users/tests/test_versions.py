"""Versions of accounts: changes of the one that was read, answers that need not be sent again (RFC 9110, 13.1)."""

import pytest


@pytest.fixture
async def ada(api):
    """Her headers, and her id."""
    headers = await api.user()
    return headers, await api.id_of("ada")


async def test_every_answer_with_an_account_has_its_version(api, ada):
    user, user_id = ada
    admin = await api.admin()

    tags = [
        (await api.get(f"/users/{user_id}", headers=user)).headers["ETag"],
        (await api.put("/users/me", {"full_name": "One"}, headers=user)).headers["ETag"],
        (await api.get(f"/users/{user_id}", headers=admin)).headers["ETag"],
        (await api.patch(f"/users/{user_id}", {"full_name": "Two"}, headers=admin)).headers["ETag"],
        (await api.get(f"/users/{user_id}", headers=user)).headers["ETag"],
    ]

    assert tags == ['"v2"', '"v3"', '"v3"', '"v4"', '"v4"']  # signing in was a change: of last_login


MATCHING = ['"v2"', '"v1", "v2"', "*", ' "v2" ', '"v2-0123456789ab"']
OTHERS = ['"v1"', '"v3"', 'W/"v2"', "v2", '"v2', "", '"', '"v02"', '"v2' + "x" * 10_000]


async def test_a_change_is_made_to_the_version_it_is_meant_for_only(api, ada):
    user, user_id = ada
    admin = await api.admin()
    statuses = {}
    for tag in MATCHING + OTHERS:
        await api.execute("UPDATE users SET version = 2, full_name = NULL WHERE username = 'ada'")
        own = await api.put("/users/me", {"full_name": "New"}, headers={**user, "If-Match": tag})
        await api.execute("UPDATE users SET version = 2, full_name = NULL WHERE username = 'ada'")
        admins = await api.patch(f"/users/{user_id}", {"full_name": "New"}, headers={**admin, "If-Match": tag})
        statuses[tag] = own.status_code, admins.status_code

    assert statuses == {**dict.fromkeys(MATCHING, (200, 200)), **dict.fromkeys(OTHERS, (412, 412))}


async def test_an_account_that_has_changed_is_not_deleted(api, ada):
    user, user_id = ada
    admin = await api.admin()
    tag = (await api.get(f"/users/{user_id}", headers=admin)).headers["ETag"]
    await api.put("/users/me", {"full_name": "Mine"}, headers=user)

    late = await api.delete(f"/users/{user_id}", headers={**admin, "If-Match": tag})
    tag = (await api.get(f"/users/{user_id}", headers=admin)).headers["ETag"]

    assert (late.status_code, late.json()["error"]["type"]) == (412, "PreconditionFailed")
    assert (await api.delete(f"/users/{user_id}", headers={**admin, "If-Match": tag})).status_code == 204


async def test_a_change_that_comes_too_late_changes_nothing(api, ada):
    user, user_id = ada
    admin = await api.admin()
    tag = (await api.get(f"/users/{user_id}", headers=admin)).headers["ETag"]
    await api.put("/users/me", {"full_name": "Mine"}, headers=user)

    late = await api.patch(f"/users/{user_id}", {"full_name": "Theirs"}, headers={**admin, "If-Match": tag})

    assert late.status_code == 412
    assert (await api.get("/users/me", headers=user)).json()["full_name"] == "Mine"


async def test_a_change_to_what_is_there_already_makes_no_version(api, ada):
    user, _ = ada
    first = await api.put("/users/me", {"full_name": "Same"}, headers=user)

    second = await api.put("/users/me", {"full_name": "Same"}, headers={**user, "If-Match": first.headers["ETag"]})

    assert (second.status_code, second.headers["ETag"]) == (200, first.headers["ETag"])
    assert second.json()["updated_at"] == first.json()["updated_at"]


@pytest.mark.parametrize("path", ["/users/me", "/users/{id}"])
async def test_who_has_the_account_is_not_sent_it_again(api, ada, path):
    user, user_id = ada
    address = path.replace("{id}", user_id)
    tag = (await api.get(address, headers=user)).headers["ETag"]

    same = [
        await api.get(address, headers={**user, "If-None-Match": known})
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*")
    ]
    await api.put("/users/me", {"full_name": "New"}, headers=user)
    other = await api.get(address, headers={**user, "If-None-Match": tag})

    assert [(answer.status_code, answer.content, answer.headers["ETag"]) for answer in same] == [(304, b"", tag)] * 4
    assert other.status_code == 200
    assert other.headers["ETag"] != tag


async def test_nobody_learns_by_a_tag_what_he_may_not_read(api, ada):
    _, user_id = ada
    tag = (await api.get(f"/users/{user_id}", headers=ada[0])).headers["ETag"]
    other = await api.user("other")

    assert (await api.get(f"/users/{user_id}", headers={**other, "If-None-Match": tag})).status_code == 403
    assert (await api.get(f"/users/{user_id}", headers={"If-None-Match": "*"})).status_code == 401
