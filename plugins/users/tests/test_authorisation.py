"""Who may call what (OWASP API Security Top 10 2023: API5, functions). The table is held against the composed routes,
so a route that is new or changes its declared access fails here until somebody has decided who may call it."""

import pytest

from powerstrip_users.access import AccessChanges

ID = "{user_id}"
NOBODY = "018f3b1e-7a00-7000-8000-000000000001"

# Every route of users with what it declares, and what is sent to it by those who may.
EXPECTED = {
    ("POST", "/api/v1/users/"): "public",
    ("GET", "/api/v1/users/"): "permission users:read",
    ("GET", "/api/v2/users/"): "permission users:read",
    ("GET", "/api/v1/users/me"): "identity",
    ("PUT", "/api/v1/users/me"): "identity",
    ("GET", "/api/v1/users/me/permissions"): "identity",
    ("GET", "/api/v1/users/audit"): "permission users:audit",
    ("POST", "/api/v1/users/bulk-update"): "permission users:bulk",
    ("GET", f"/api/v1/users/{ID}"): "identity",
    ("PATCH", f"/api/v1/users/{ID}"): "permission users:write",
    ("DELETE", f"/api/v1/users/{ID}"): "permission users:delete",
    ("POST", "/api/v1/users/me/avatar"): "identity",
    ("DELETE", "/api/v1/users/me/avatar"): "identity",
    ("GET", f"/api/v1/users/{ID}/avatar"): "public",
    ("POST", "/api/v1/auth/token"): "public",
    ("POST", "/api/v1/auth/refresh"): "public",
    ("POST", "/api/v1/auth/logout"): "identity",
    ("GET", "/api/v1/auth/sessions"): "identity",
    ("DELETE", "/api/v1/auth/sessions"): "identity",
    ("DELETE", "/api/v1/auth/sessions/{session}"): "identity",
    ("POST", "/api/v1/auth/change-password"): "identity",
    ("POST", "/api/v1/auth/forgot-password"): "public",
    ("POST", "/api/v1/auth/reset-password"): "public",
    ("POST", "/api/v1/auth/verify-email"): "public",
    ("POST", "/api/v1/auth/resend-verification"): "identity",
}
BODIES = {
    ("PUT", "/api/v1/users/me"): {"full_name": "New"},
    ("POST", "/api/v1/users/bulk-update"): {"ids": [NOBODY], "update": {"full_name": "New"}},
    ("PATCH", f"/api/v1/users/{ID}"): {"full_name": "New"},
}

# The permissions of each role, as `roles` below grants them. A stranger has no role.
ROLES = {
    "stranger": None,
    "guest": set(),
    "user": set(),
    "moderator": {"users:read", "users:audit"},
    "admin": {"users:read", "users:audit", "users:bulk", "users:write", "users:delete"},
}
GRANTED = {"moderator": ["users:read", "users:audit"]}


def routes_of(api, plugin="users"):
    found = {}
    for entry in api.app.state.powerstrip.index.routes:
        if entry.plugin == plugin:
            found |= {(method, entry.path): str(entry.access) for method in sorted(entry.methods - {"HEAD"})}
    return found


def may(role, access):
    """Whether the table lets a role in. Which object it asks for is another matter: test_objects.py."""
    permissions = ROLES[role]
    kind, _, name = access.partition(" ")
    if kind == "public":
        return True
    if kind == "identity":
        return permissions is not None
    return permissions is not None and name in permissions


@pytest.fixture(scope="module")
async def everybody(start_shared_on_sqlite):
    """An application with somebody of each role; gives it and a function that makes headers for a role."""
    async with start_shared_on_sqlite(roles=GRANTED, sign_in={"client_failures": 1000}) as api:
        for role in ROLES:
            if role != "stranger":
                await api.sign_up(f"the_{role}")
                await api.execute("UPDATE users SET role = :role WHERE username = :name", role=role, name=f"the_{role}")

        async def headers(role):
            return {} if role == "stranger" else await api.sign_in(f"the_{role}")

        yield api, headers


async def test_the_table_holds_every_route_and_what_it_declares(api_on_sqlite):
    assert routes_of(api_on_sqlite) == EXPECTED


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_gets_in_where_the_table_says_so_and_nowhere_else(everybody, role):
    """In means any answer but 401 and 403: that nothing is found, say, or that the body isn't valid."""
    api, headers_of = everybody
    own_id = NOBODY if role == "stranger" else await api.id_of(f"the_{role}")
    wrong = []
    for (method, path), access in routes_of(api).items():
        # Of the account routes one is for everybody's own account: whose others may be read is in test_objects.py.
        user_id = own_id if (method, path) == ("GET", f"/api/v1/users/{ID}") else NOBODY
        address = path.replace(ID, user_id).replace("{session}", NOBODY)
        body = BODIES.get((method, path))
        answer = await api.http.request(method, address, json=body, headers=await headers_of(role))
        expected = not may(role, access) and (401 if role == "stranger" else 403)
        refused = answer.status_code in (401, 403) and answer.status_code
        if refused != expected or answer.status_code >= 500:
            wrong.append((method, path, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
async def test_no_other_method_gets_a_stranger_in_around_the_table(everybody, method):
    api, _ = everybody
    seen = "GET" if method == "HEAD" else method
    for path in {path for _, path in EXPECTED if EXPECTED.get((seen, path)) != "public"}:
        answer = await api.http.request(method, path.replace(ID, NOBODY).replace("{session}", NOBODY))

        # 422: `me` where an id belongs
        assert answer.status_code in (401, 405, 422), (method, path, answer.status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/users/?",
        "/api/v1/USERS/",
        "/api/v1//users/",
        "/api/v1/users/./",
        "/api/v1/users/audit/",
        "/api/v1/users/%61udit",
        "/api/v1/users/me/../audit",
        "/api/v1/users/audit;.json",
        "/api/v1/users/audit.json",
        "/api/v1/users/audit%00",
        "/api/v1/users/audit%2f",
        "/api/v2/users",
    ],
)
async def test_no_way_of_writing_a_path_gets_in_around_the_table(everybody, path):
    api, headers_of = everybody

    answer = await api.http.get(path, headers=await headers_of("user"))

    assert answer.status_code in (403, 404, 405, 422)


async def test_a_header_or_parameter_that_claims_something_gives_nothing(everybody):
    api, headers_of = everybody
    claims = {
        "X-HTTP-Method-Override": "GET",
        "X-Original-URL": "/api/v1/users/",
        "X-User-Id": await api.id_of("the_admin"),
        "X-Role": "admin",
        "X-Forwarded-For": "127.0.0.1",
    }

    answer = await api.get("/users/audit?role=admin&is_admin=true", headers={**await headers_of("user"), **claims})

    assert answer.status_code == 403


async def test_a_permission_that_is_missing_is_named(everybody):
    """RFC 6750, 3.1: so that a client knows that a new token would not help."""
    api, headers_of = everybody

    answer = await api.delete(f"/users/{NOBODY}", headers=await headers_of("moderator"))

    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "Forbidden"
    assert 'error="insufficient_scope", scope="users:delete"' in answer.headers["WWW-Authenticate"]


async def test_a_group_of_permissions_is_granted_with_a_star(start_on_sqlite):
    async with start_on_sqlite(roles={"guest": ["users:*"], "user": ["*"]}) as api:
        await api.sign_up("visitor")
        await api.execute("UPDATE users SET role = 'guest' WHERE username = 'visitor'")
        visitor, user = await api.sign_in("visitor"), await api.user()

        for headers in (visitor, user):
            assert (await api.get("/users/audit", headers=headers)).status_code == 200
        own = (await api.get("/users/me/permissions", headers=visitor)).json()
        assert (own["roles"], own["granted"]) == (["guest"], ["users:*"])
        assert [entry["name"] for entry in own["permissions"]] == [
            *("users:audit", "users:bulk", "users:delete", "users:read", "users:write")
        ]


async def test_a_role_without_permissions_sees_that_it_has_none(api_on_sqlite):
    user = await api_on_sqlite.user()

    own = (await api_on_sqlite.get("/users/me/permissions", headers=user)).json()

    assert own == {"roles": ["user"], "granted": [], "permissions": []}


async def test_what_a_role_may_do_is_in_no_token(start_on_sqlite):
    """An operator's change of `roles` counts from the next start, whatever tokens were issued before."""
    async with start_on_sqlite(roles={"user": ["users:read"]}) as api:
        user = await api.user()
        assert (await api.get("/users/", headers=user)).status_code == 200
    async with start_on_sqlite() as api:
        await api.services[AccessChanges].read()
        assert (await api.get("/users/", headers=user)).status_code == 403


async def test_a_permission_that_no_plugin_declares_is_logged_at_the_start(start_on_sqlite, caplog):
    async with start_on_sqlite(roles={"user": ["users:raed", "users:read", "other:*"]}):
        pass

    warned = [record.getMessage() for record in caplog.records if "no plugin declares" in record.getMessage()]
    assert [message.rpartition(": ")[2] for message in warned] == ["other:*", "users:raed"]
