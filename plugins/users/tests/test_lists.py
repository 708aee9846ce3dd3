"""Finding accounts: filters, order, numbered pages, cursors."""

import string
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain
from urllib.parse import urlencode

import pytest

from powerstrip.testing import FakeClock

PEOPLE = [
    # username, full name, role, status, verified, made on which day of June 2026
    ("ada", "Ada Lovelace", "user", "active", True, 1),
    ("Grace", "Grace Hopper", "moderator", "active", False, 2),
    ("alan_t", "Alan Turing", "user", "suspended", True, 3),
    ("alanxt", "Alan X", "user", "active", False, 4),
    ("per100", "Ten 100% per cent", "guest", "inactive", False, 5),
    ("ulf", "Ülf STRAẞE", "user", "pending", False, 6),
]


@asynccontextmanager
async def with_people(start):
    """An application with some people and one admin, who is the newest; gives it and the admin's headers."""
    clock = FakeClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with start(clock=clock) as api:
        for name, full_name, role, status, is_verified, day in PEOPLE:
            clock.set_wall(datetime(2026, 6, day, 12, tzinfo=UTC))
            await api.sign_up(name, full_name=full_name)
            await api.execute(
                "UPDATE users SET role = :role, status = :status, is_verified = :ok WHERE username = :name",
                role=role,
                status=status,
                ok=is_verified,
                name=name,
            )
        clock.set_wall(datetime(2026, 6, 20, 12, tzinfo=UTC))
        yield api, await api.admin()


@pytest.fixture(scope="module")
async def people(start_shared):
    """They stay as they are."""
    async with with_people(start_shared) as found:
        yield found


@pytest.fixture
async def changing_people(start):
    async with with_people(start) as found:
        yield found


@pytest.fixture(scope="module")
async def admin_on_sqlite(shared_on_sqlite):
    return shared_on_sqlite, await shared_on_sqlite.admin()


async def found(api, admin, version="v1", **query):
    """The usernames in an answer, in their order."""
    answer = await api.http.get(f"/api/{version}/users/?{urlencode(query)}", headers=admin)
    assert answer.status_code == 200, answer.text
    return [user["username"] for user in answer.json()["items"]]


async def test_without_filters_everybody_is_listed_the_newest_first(people):
    api, admin = people

    answer = (await api.get("/users/", headers=admin)).json()

    names = [name for name, *_ in reversed(PEOPLE)]
    assert [user["username"] for user in answer.pop("items")] == ["root", *names]
    assert answer == {"total": 7, "page": 1, "size": 20, "pages": 1, "has_next": False, "has_prev": False}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"role": "moderator"}, {"Grace"}),
        ({"status": "suspended"}, {"alan_t"}),
        ({"verified_only": "true"}, {"ada", "alan_t", "root"}),
        ({"verified_only": "false", "role": "guest"}, {"per100"}),
        ({"role": "user", "status": "active"}, {"ada", "alanxt"}),
        ({"role": "user", "status": "active", "verified_only": "true"}, {"ada"}),
        ({"created_after": "2026-06-05T12:00:00Z"}, {"per100", "ulf", "root"}),
        ({"created_after": "2026-06-05T12:00:00.000001Z"}, {"ulf", "root"}),
        ({"created_before": "2026-06-02T12:00:00Z"}, {"ada", "Grace"}),
        ({"created_after": "2026-06-02T14:00:00+02:00", "created_before": "2026-06-03T12:00:00"}, {"Grace", "alan_t"}),
        ({"created_after": "2026-06-03T12:00:00Z", "created_before": "2026-06-03T12:00:00Z"}, {"alan_t"}),
        ({"created_after": "9999-12-31T23:59:59Z"}, set()),
        ({"q": "hopper"}, {"Grace"}),
        ({"q": "LOVE"}, {"ada"}),
        ({"q": "alan"}, {"alan_t", "alanxt"}),
        ({"q": "ada@example"}, {"ada"}),
        ({"q": "  hopper  "}, {"Grace"}),
        ({"q": "strasse"}, {"ulf"}),
        ({"q": "üLF"}, {"ulf"}),
        ({"q": "u\u0308lf"}, {"ulf"}),
        ({"q": "example.com", "role": "guest"}, {"per100"}),
        ({"q": "ce\nGr"}, None),
        ({"q": "gracegrace"}, set()),
    ],
)
async def test_those_are_found_who_match_every_filter(people, query, names):
    """By both versions alike."""
    api, admin = people
    if names is None:
        assert (await api.get(f"/users/?{urlencode(query)}", headers=admin)).status_code == 422
        return

    assert set(await found(api, admin, **query)) == names
    assert set(await found(api, admin, version="v2", **query)) == names


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("n_t", {"alan_t"}),
        ("0%", {"per100"}),
        ("%%", set()),
        ("__", set()),
        ("a%a", set()),
        ("\\%", set()),
        ("\\_", set()),
        ("n\\_t", set()),
        ("\\\\", set()),
        ("*a", set()),
        ("[a-z]", set()),
        ("' OR 1=1 --", set()),
        ("'; DROP TABLE users; --", set()),
        ('"a"', set()),
        ("%' ESCAPE '\\", set()),
        ("{0}", set()),
        (":q", set()),
        ("$1", set()),
    ],
)
async def test_what_is_special_in_sql_is_text_in_a_search(people, wanted, names):
    api, admin = people

    assert set(await found(api, admin, q=wanted)) == names
    assert await api.rows("SELECT count(*) FROM users") == [(7,)]


@pytest.mark.parametrize(
    "sort", ["created_at", "-created_at", "updated_at", "-updated_at", "username", "-username", "email", "-email"]
)
async def test_both_versions_sort_alike_and_one_after_the_other(people, sort):
    api, admin = people

    names = await found(api, admin, sort=sort)

    by_name = sorted([name for name, *_ in PEOPLE] + ["root"], key=str.lower)
    expected = by_name if sort.endswith(("username", "email")) else [name for name, *_ in PEOPLE] + ["root"]
    assert names == (expected[::-1] if sort.startswith("-") else expected)
    assert await found(api, admin, version="v2", sort=sort) == names


async def test_pages_tell_where_they_are(people):
    api, admin = people

    pages = [(await api.get(f"/users/?size=3&sort=username&page={page}", headers=admin)).json() for page in range(1, 5)]

    assert [[user["username"] for user in page["items"]] for page in pages] == [
        ["ada", "alan_t", "alanxt"],
        ["Grace", "per100", "root"],
        ["ulf"],
        [],
    ]
    assert [(page["total"], page["pages"], page["size"], page["page"]) for page in pages] == [
        (7, 3, 3, number) for number in (1, 2, 3, 4)
    ]
    assert [(page["has_prev"], page["has_next"]) for page in pages] == [
        (False, True),
        (True, True),
        (True, False),
        (True, False),
    ]


async def test_a_list_without_a_match_has_no_pages(people):
    api, admin = people

    answer = (await api.get("/users/?q=nobody", headers=admin)).json()

    assert answer == {
        "items": [],
        "total": 0,
        "page": 1,
        "size": 20,
        "pages": 0,
        "has_next": False,
        "has_prev": False,
    }


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    "query",
    [
        {"q": "a"},
        {"q": " a "},
        {"q": "a" * 101},
        {"q": "a\x00b"},
        {"role": "god"},
        {"role": "ADMIN"},
        {"status": "gone"},
        {"verified_only": "perhaps"},
        {"created_after": "yesterday"},
        {"created_after": "0.5"},
        {"created_after": "1780000000"},
        {"created_after": "2026-06-02T00:00:00Z", "created_before": "2026-06-01T23:59:59Z"},
        {"created_after": "2026-06-02T00:00:00+14:00", "created_before": "2026-06-01T09:59:59Z"},
        {"created_before": "0001-01-01T00:00:00+14:00"},
        {"sort": "password_hash"},
        {"sort": "username; DROP TABLE users"},
        {"sort": "--username"},
        {"unknown": "x"},
        {"username": "ada"},
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(admin_on_sqlite, version, query):
    api, admin = admin_on_sqlite

    answer = await api.http.get(f"/api/{version}/users/?{urlencode(query)}", headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "ValidationError")


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=1000001", "page=1.5", "size=0", "size=101", "size=", "page=1e3"]
)
async def test_a_page_that_can_not_be_is_refused(admin_on_sqlite, query):
    api, admin = admin_on_sqlite

    assert (await api.get(f"/users/?{query}", headers=admin)).status_code == 422


async def test_the_highest_page_is_empty_and_no_error(admin_on_sqlite):
    api, admin = admin_on_sqlite

    answer = await api.get("/users/?page=1000000&size=100", headers=admin)

    assert (answer.status_code, answer.json()["items"]) == (200, [])


def flat(pages):
    return list(chain.from_iterable(pages))


async def walk(api, admin, address):
    """Follow `next` from an address to the end; the pages' usernames."""
    pages = []
    while address:
        answer = await api.http.get(address, headers=admin)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        pages.append([user["username"] for user in body["items"]])
        assert answer.headers.get("Link") == (f'<{body["next"]}>; rel="next"' if body["next"] else None)
        address = body["next"]
    return pages


async def test_cursors_lead_through_everybody_once(people):
    api, admin = people
    everybody = await found(api, admin, sort="-username", size=100)

    pages = await walk(api, admin, "/api/v2/users/?limit=3&sort=-username")

    assert [len(page) for page in pages] == [3, 3, 1]
    assert flat(pages) == everybody


async def test_equals_are_neither_skipped_nor_repeated(start, clock):
    """Fifty accounts of one moment: only their ids tell them apart."""
    sorts = ("created_at", "-created_at", "updated_at", "-updated_at", "username", "-email")
    async with start(clock=clock) as api:
        admin = await api.admin()
        await api.add(f"user{number:02}" for number in range(50))

        seen = {sort: flat(await walk(api, admin, f"/api/v2/users/?limit=7&sort={sort}")) for sort in sorts}

    everybody = sorted([*(f"user{number:02}" for number in range(50)), "root"])
    assert {sort: sorted(names) for sort, names in seen.items()} == dict.fromkeys(sorts, everybody)


async def test_cursors_keep_their_place_when_accounts_come_and_go(changing_people):
    api, admin = changing_people
    first = (await api.http.get("/api/v2/users/?limit=3&sort=username", headers=admin)).json()
    await api.sign_up("aaa")  # before the place
    await api.sign_up("hal")  # after it
    await api.delete(f"/users/{first['items'][2]['id']}", headers=admin)  # the place itself

    rest = await walk(api, admin, first["next"])

    assert flat(rest) == ["Grace", "hal", "per100", "root", "ulf"]


async def test_a_link_keeps_the_filters_and_names_no_host(people):
    """Who forges the Host header can't lead others astray."""
    api, admin = people
    headers = {**admin, "Host": "evil.example"}

    answer = (await api.http.get("/api/v2/users/?q=example&role=user&limit=1", headers=headers)).json()

    assert answer["next"].startswith("/api/v2/users/?")
    assert "evil" not in answer["next"]
    assert flat(await walk(api, admin, answer["next"])) == ["alanxt", "alan_t", "ada"]


async def test_a_cursor_counts_for_the_filters_it_was_made_for_only(people):
    api, admin = people
    address = (await api.http.get("/api/v2/users/?limit=1&role=user&sort=username", headers=admin)).json()["next"]

    for other in (("role=user", "role=admin"), ("sort=username", "sort=email"), ("role=user&", "")):
        answer = await api.http.get(address.replace(*other), headers=admin)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "CursorNotValid")
    assert (await api.http.get(address.replace("limit=1", "limit=2"), headers=admin)).status_code == 200


@pytest.mark.parametrize("changed", [0, 5, 15, 20, 30, -1])
async def test_a_cursor_that_was_changed_is_refused(people, changed):
    api, admin = people
    address = (await api.http.get("/api/v2/users/?limit=1", headers=admin)).json()["next"]
    head, _, cursor = address.partition("cursor=")
    other = string.ascii_lowercase[cursor[changed] == "a"]
    characters = list(cursor)
    characters[changed] = other

    answer = await api.http.get(f"{head}cursor={''.join(characters)}", headers=admin)

    # The last character may hold bits that say nothing.
    assert answer.status_code == 400 or (changed == -1 and answer.status_code == 200)


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "A" * 1000, "%00", "=", "é", "W10", "../..", "a b"])
async def test_made_up_text_is_no_cursor(admin_on_sqlite, cursor):
    api, admin = admin_on_sqlite

    answer = await api.http.get("/api/v2/users/", params={"cursor": cursor}, headers=admin)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "CursorNotValid")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", f"cursor={'a' * 1001}", "page=2"])
async def test_a_cursor_page_that_can_not_be_is_refused(admin_on_sqlite, query):
    api, admin = admin_on_sqlite

    assert (await api.http.get(f"/api/v2/users/?{query}", headers=admin)).status_code == 422


async def test_a_cursor_lives_on_when_the_key_is_rotated(start_on_sqlite):
    async with start_on_sqlite(secret_key="o" * 32) as api:
        admin = await api.admin()
        await api.sign_up()
        address = (await api.http.get("/api/v2/users/?limit=1", headers=admin)).json()["next"]
    async with start_on_sqlite(secret_key="n" * 32, retired_keys=["o" * 32]) as api:
        assert (await api.http.get(address, headers=admin)).status_code == 200
    async with start_on_sqlite(secret_key="n" * 32) as api:
        assert (await api.http.get(address, headers=await api.sign_in("root"))).status_code == 400


async def test_a_page_by_cursor_costs_one_statement_and_counts_nothing(people):
    api, admin = people
    address = (await api.http.get("/api/v2/users/?limit=2", headers=admin)).json()["next"]

    with api.noting_statements() as statements:
        await api.http.get(address, headers=admin)

    selects = [sql for sql in statements if "SELECT" in sql]
    assert len(selects) == 1
    assert "count(" not in selects[0]
