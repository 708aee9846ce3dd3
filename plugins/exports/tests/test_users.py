"""Users and the audit log, exported under their own addresses."""

import io
from contextlib import asynccontextmanager

import httpx2
import openpyxl
import pytest
from sqlalchemy import text

from powerstrip import create_app
from powerstrip_database import Database
from powerstrip_users.domain import Actor, Client
from powerstrip_users.service import Accounts, NewAccount

PASSWORD = "correct horse battery"
USERS = {"secret_key": "a key for tests that nobody else has", "passwords": {"memory_kib": 8, "iterations": 1}}


class Site:
    """Users beside exports, and an admin who is signed in."""

    def __init__(self, app, http):
        self.app, self.http = app, http
        self.services = app.state.powerstrip.index.services

    async def sign_in(self, name):
        answer = await self.http.post("/api/v1/auth/token", data={"username": name, "password": PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def admin(self):
        account = NewAccount("root@example.com", "root", PASSWORD, full_name="=Root")
        await self.services[Accounts].create_admin(account, Actor("tests", Client()))
        return await self.sign_in("root")

    async def sign_up(self, name):
        form = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        answer = await self.http.post(
            "/api/v1/users/", json={**form, "confirm_password": PASSWORD, "terms_accepted": True}
        )
        assert answer.status_code == 201
        return answer.json()


@pytest.fixture
def site(powerstrip_config, database_url, tmp_path, monkeypatch):
    """Starts a site; the order of `names` is that of the config."""
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def running(names=("users", "exports"), **settings):
        sections = {"users": USERS, "exports": settings}
        plugins = {"tracing": {"access_log": False}, "database": {"url": database_url}}
        path = powerstrip_config({**plugins, **{name: sections[name] for name in names}}, app={"docs": True})
        app = create_app(path, environ={})
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://api.example") as http,
        ):
            yield Site(app, http)

    return running


@pytest.mark.parametrize("order", [("users", "exports"), ("exports", "users")])
async def test_users_have_an_export_of_their_own_whatever_the_order_of_plugins(site, order):
    async with site(order) as running:
        headers = await running.admin()
        ada = await running.sign_up("ada")
        exported = await running.http.get("/api/v1/users/export?q=ada", headers=headers)
        one = await running.http.get(f"/api/v1/users/{ada['id']}", headers=headers)
        document = (await running.http.get("/openapi.json")).json()

    lines = exported.text.splitlines()
    assert exported.headers["Content-Type"].startswith("text/csv")
    assert (len(lines), ada["id"] in lines[1]) == (2, True)
    assert one.json() == ada
    parameters = {entry["name"] for entry in document["paths"]["/api/v1/users/export"]["get"]["parameters"]}
    assert {"q", "role", "status", "verified_only", "created_after", "created_before", "sort"} <= parameters
    assert {"format", "columns", "bom", "compression"} <= parameters


async def test_without_exports_there_is_no_such_address(site):
    async with site(("users",)) as running:
        headers = await running.admin()
        exported = await running.http.get("/api/v1/users/export", headers=headers)
        document = (await running.http.get("/openapi.json")).json()

    assert exported.status_code == 422  # `export` is no id of a user
    assert "/api/v1/users/export" not in document["paths"]


async def test_what_is_exported_is_what_the_list_shows(site):
    async with site() as running:
        headers = await running.admin()
        for name in ("ada", "grace", "hedy"):
            await running.sign_up(name)
        for filters in ("", "?q=ada", "?role=user&sort=-username", "?verified_only=true", "?created_before=2001-01-01"):
            listed = (await running.http.get(f"/api/v1/users/{filters}", headers=headers)).json()["items"]
            form = f"{filters}&format=json" if filters else "?format=json"
            exported = (await running.http.get(f"/api/v1/users/export{form}", headers=headers)).json()
            if "sort" not in filters:
                listed, exported = (sorted(entries, key=lambda entry: entry["id"]) for entries in (listed, exported))
            assert exported == listed
        wrong = "?created_after=2026-01-02&created_before=2026-01-01"
        refused = await running.http.get(f"/api/v1/users/export{wrong}", headers=headers)

    assert refused.status_code == 422


async def test_users_as_excel(site):
    async with site() as running:
        headers = await running.admin()
        answer = await running.http.get("/api/v1/users/export?format=excel", headers=headers)

    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    row = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[2]], strict=True))
    assert (row["username"], row["Full name"], row["Active"], row["Profile completion"]) == ("root", "=Root", True, 50)
    assert "password" not in str(row).lower()


async def test_users_themselves_may_not_export(site):
    async with site() as running:
        await running.admin()
        await running.sign_up("ada")
        ada = await running.sign_in("ada")
        answers = [
            await running.http.get(path, headers=ada) for path in ("/api/v1/users/export", "/api/v1/exports/audit")
        ]
        listed = await running.http.get("/api/v1/exports", headers=ada)

    assert [answer.status_code for answer in answers] == [403, 403]
    assert listed.json() == {"items": []}


async def test_each_export_is_in_the_audit_log_with_its_rows_and_its_request(site):
    async with site() as running:
        headers = await running.admin()
        answer = await running.http.get("/api/v1/users/export?q=root", headers=headers)
        entries = (await running.http.get("/api/v1/users/audit?action=export.ended", headers=headers)).json()["items"]
        exported = await running.http.get("/api/v1/exports/audit?action=export.started&format=ndjson", headers=headers)

    (entry,) = entries
    assert entry["actor"] == "root"
    assert entry["request_id"] == answer.headers["X-Request-ID"]
    assert (entry["changes"]["rows"], entry["changes"]["outcome"]) == (1, "complete")
    assert entry["changes"]["filters"] == {"q": "root"}
    assert len(exported.text.splitlines()) == 2  # the export of users, and this one


async def test_an_export_without_order_has_the_rows_as_they_are_stored(site):
    async with site() as running:
        headers = await running.admin()
        for name in ("zoe", "ada"):
            await running.sign_up(name)
        answer = await running.http.get("/api/v1/users/export?columns=username", headers=headers)
        async with running.services[Database].reading() as session:
            assert await session.scalar(text("SELECT count(*) FROM users")) == 3

    assert answer.text.split() == ['"username"', '"root"', '"zoe"', '"ada"']
