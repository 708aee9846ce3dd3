"""Requests that come at the same moment: each outcome is one that they could have had one after the other."""

import asyncio
from collections import Counter
from io import BytesIO

import pytest
from PIL import Image


def statuses(answers):
    return Counter(answer.status_code for answer in answers)


def kinds(answers):
    """The types of the errors among the answers."""
    return {answer.json()["error"]["type"] for answer in answers if answer.status_code >= 400}


async def admins(api, *names):
    """The headers and ids of new admins, by name."""
    return [(await api.admin(name), await api.id_of(name)) for name in names]


async def active_admins(api):
    return await api.rows("SELECT username FROM users WHERE role = 'admin' AND status = 'active'")


@pytest.mark.parametrize("change", [{"role": "user"}, {"status": "suspended"}, {"status": "inactive"}])
async def test_of_two_admins_who_demote_each_other_one_stays(api, change):
    (first, first_id), (second, second_id) = await admins(api, "first", "second")

    answers = await asyncio.gather(
        api.patch(f"/users/{second_id}", change, headers=first),
        api.patch(f"/users/{first_id}", change, headers=second),
    )

    assert statuses(answers) == {200: 1, 400: 1}
    assert kinds(answers) == {"LastAdmin"}
    assert len(await active_admins(api)) == 1


async def test_of_two_admins_who_give_up_at_the_same_moment_one_stays(api):
    (first, first_id), (second, second_id) = await admins(api, "first", "second")

    answers = await asyncio.gather(
        api.patch(f"/users/{first_id}", {"role": "user"}, headers=first),
        api.patch(f"/users/{second_id}", {"role": "user"}, headers=second),
    )

    assert statuses(answers) == {200: 1, 400: 1}
    assert len(await active_admins(api)) == 1


async def test_of_five_admins_who_demote_all_others_at_once_one_stays(api):
    """Singly and in bulk, so that their locks cross."""
    everybody = await admins(api, "a_admin", "b_admin", "c_admin", "d_admin", "e_admin")
    requests = []
    for headers, own_id in everybody:
        others = [other for _, other in everybody if other != own_id]
        requests.append(api.post("/users/bulk-update", {"ids": others, "update": {"role": "user"}}, headers=headers))
        requests += [api.patch(f"/users/{other}", {"role": "user"}, headers=headers) for other in others]

    answers = await asyncio.gather(*requests)

    assert not any(answer.status_code >= 500 for answer in answers)
    assert len(await active_admins(api)) == 1


async def test_an_admin_is_not_demoted_and_deleted_around_the_rule_for_the_last_one(api):
    """Deleting wants a demotion first: whichever comes first, an admin is left."""
    (first, first_id), (second, second_id) = await admins(api, "first", "second")

    answers = await asyncio.gather(
        api.patch(f"/users/{second_id}", {"role": "user"}, headers=first),
        api.delete(f"/users/{second_id}", headers=first),
        api.patch(f"/users/{first_id}", {"role": "user"}, headers=second),
        api.delete(f"/users/{first_id}", headers=second),
    )

    assert not any(answer.status_code >= 500 for answer in answers)
    assert len(await active_admins(api)) == 1


async def test_the_same_idempotency_key_at_once_is_done_once(api):
    admin = await api.admin()
    ids = [(await api.sign_up(f"user{number}")).json()["id"] for number in range(3)]
    body = {"ids": ids, "update": {"full_name": "Changed"}}
    headers = {**admin, "Idempotency-Key": "one"}

    answers = await asyncio.gather(*(api.post("/users/bulk-update", body, headers=headers) for _ in range(10)))

    assert statuses(answers) == {200: 10}
    assert len({answer.text for answer in answers}) == 1
    assert Counter(answer.headers.get("Idempotency-Replayed") for answer in answers) == {None: 1, "true": 9}
    assert await api.rows("SELECT count(*) FROM users_audit WHERE action = 'users.bulk_updated'") == [(1,)]
    assert {version for (version,) in await api.rows("SELECT version FROM users WHERE role = 'user'")} == {2}


async def test_two_requests_under_one_idempotency_key_at_once_are_not_both_done(api):
    admin = await api.admin()
    user_id = (await api.sign_up()).json()["id"]
    headers = {**admin, "Idempotency-Key": "one"}

    answers = await asyncio.gather(
        *(
            api.post("/users/bulk-update", {"ids": [user_id], "update": {"full_name": name}}, headers=headers)
            for name in ("First", "Second")
        )
    )

    assert statuses(answers) == {200: 1, 422: 1}
    assert kinds(answers) == {"IdempotencyKeyReused"}


async def test_of_changes_to_one_version_at_once_one_succeeds(api):
    user = await api.user()
    headers = {**user, "If-Match": (await api.get("/users/me", headers=user)).headers["ETag"]}

    answers = await asyncio.gather(
        *(api.put("/users/me", {"full_name": f"Name {number}"}, headers=headers) for number in range(20))
    )

    assert statuses(answers) == {200: 1, 412: 19}


async def test_changes_to_any_version_at_once_all_succeed_one_after_the_other(api):
    user = await api.user()

    answers = await asyncio.gather(
        *(api.put("/users/me", {"full_name": f"Name {number}"}, headers=user) for number in range(20))
    )

    assert statuses(answers) == {200: 20}
    assert len({answer.headers["ETag"] for answer in answers}) == 20


async def test_of_users_who_take_one_name_at_once_one_gets_it(api):
    everybody = [await api.user(f"user{number}") for number in range(5)]

    answers = await asyncio.gather(
        *(
            api.put("/users/me", {"username": wanted}, headers=user)
            for user, wanted in zip(everybody, ("Ada", "ada", "ADA", "aDa", "adA"), strict=True)
        )
    )

    assert statuses(answers) == {200: 1, 400: 4}
    assert kinds(answers) == {"UsernameTaken"}


async def test_bulk_updates_of_the_same_accounts_in_another_order_do_not_block_each_other(api):
    admin = await api.admin()
    ids = [(await api.sign_up(f"user{number}")).json()["id"] for number in range(10)]

    answers = await asyncio.gather(
        *(
            api.post("/users/bulk-update", {"ids": order, "update": {"full_name": name}}, headers=admin)
            for name, order in (("A", ids), ("B", ids[::-1]), ("C", ids[5:] + ids[:5]), ("D", ids[::2] + ids[1::2]))
        )
    )

    assert statuses(answers) == {200: 4}
    assert {answer.json()["successful"] for answer in answers} == {10}


async def test_an_account_is_deleted_once_whatever_else_happens_to_it(api):
    admin, user = await api.admin(), await api.user()
    pair = (await api.token("ada")).json()
    user_id = await api.id_of("ada")

    deletions, others = await asyncio.gather(
        asyncio.gather(*(api.delete(f"/users/{user_id}", headers=admin) for _ in range(5))),
        asyncio.gather(
            api.put("/users/me", {"full_name": "New"}, headers=user),
            api.token("ada"),
            api.post("/auth/refresh", {"refresh_token": pair["refresh_token"]}),
            api.patch(f"/users/{user_id}", {"role": "moderator"}, headers=admin),
            api.post("/auth/logout", {"all_sessions": True}, headers=user),
            api.post("/users/bulk-update", {"ids": [user_id], "update": {"status": "inactive"}}, headers=admin),
        ),
    )

    assert statuses(deletions) == {204: 1, 404: 4}
    assert not any(answer.status_code >= 500 for answer in others)
    assert await api.rows("SELECT count(*) FROM users WHERE username = 'ada'") == [(0,)]
    assert await api.rows("SELECT count(*) FROM users_sessions") == [(1,)]  # the admin's


async def test_of_pictures_that_are_sent_at_once_one_is_kept_with_its_file(api):
    user = await api.user()

    def picture(shade):
        file = BytesIO()
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
        return {"file": ("a.png", file.getvalue())}

    answers = await asyncio.gather(
        *(api.http.post("/api/v1/users/me/avatar", files=picture(20 * n), headers=user) for n in range(6))
    )
    shown = await api.get(f"/users/{await api.id_of('ada')}/avatar")

    assert statuses(answers) == {204: 6}
    assert shown.status_code == 200
    assert shown.headers["ETag"] in {answer.headers["ETag"] for answer in answers}
    assert len([path for path in (api.folder / "data/avatars").rglob("*") if path.is_file()]) == 1


async def test_of_password_changes_at_once_one_succeeds(api):
    user = await api.user()
    bodies = [
        {"current_password": api.password, "new_password": f"another long password {number}"} for number in range(4)
    ]

    answers = await asyncio.gather(*(api.post("/auth/change-password", body, headers=user) for body in bodies))

    assert statuses(answers) == {204: 1, 400: 3}
    assert kinds(answers) == {"CurrentPasswordWrong"}
