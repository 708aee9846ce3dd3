"""Who gets what, and how a stream begins and ends."""

import asyncio
import logging
import os
import sys
import threading
from contextlib import asynccontextmanager
from urllib.parse import unquote

import pytest
from exports_client import Client
from exports_sample import thing

from powerstrip import AuditLog, Identity, Plugin, PluginSettings, hookimpl
from powerstrip.testing import signed_in
from powerstrip_database import Database
from powerstrip_exports.threads import Threads

OWNER = Identity("owner", "Owner", frozenset(("user",)), frozenset(("things:*",)))
NOBODY = Identity("nobody", "Nobody", frozenset(("user",)), frozenset(("users:read",)))


async def test_sources_are_listed_for_those_who_may_read_them(api_on_sqlite):
    mine = (await api_on_sqlite.get("/exports")).json()["items"]
    none = (await api_on_sqlite.get("/exports", NOBODY)).json()["items"]
    stranger = await api_on_sqlite.get("/exports", None)

    assert [source["name"] for source in mine] == ["count", "things"]
    things = mine[1]
    assert things["href"] == "/api/v1/exports/things"
    assert things["formats"] == ["csv", "excel", "ndjson", "json", "parquet"]
    assert things["columns"][4] == {"name": "is_new", "type": "boolean", "title": "New", "masked": False}
    assert things["columns"][8]["masked"] is True
    assert set(things["filters"]["properties"]) == {"colour", "name", "sort"}
    assert none == []
    assert stranger.status_code == 401


@pytest.mark.parametrize("path", ["/exports/things", "/things/export"])
async def test_only_those_who_may_read_a_source_may_export_it(api_on_sqlite, path):
    answers = [await api_on_sqlite.get(path, caller) for caller in (None, NOBODY, OWNER)]

    assert [answer.status_code for answer in answers] == [401, 403, 200]
    assert "things:read" in answers[1].headers["WWW-Authenticate"]


async def test_the_filters_are_those_of_the_list(api):
    await api.add(*(thing(n) for n in range(6)))

    blue = await api.csv("/exports/things?colour=blue&sort=-number")
    named = await api.csv("/things/export?name=thing 3")
    wrong = await api.get("/exports/things?color=blue")

    assert [row["number"] for row in blue] == ["4", "2", "0"]
    assert [row["number"] for row in named] == ["3"]
    assert wrong.status_code == 422
    assert wrong.json()["error"]["details"][0]["location"] == ["query", "color"]


async def test_columns_are_chosen_by_name(api):
    await api.add(thing(1))

    answer = await api.get("/exports/things?columns=name, number,name")
    unknown = await api.get("/exports/things?columns=name,nope")

    assert answer.content == b'"name","number"\r\n"thing 1",1\r\n'
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (400, "ColumnNotKnown")
    assert unknown.json()["error"]["details"][0]["column"] == "nope"


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
async def test_sensitive_columns_are_empty_without_their_permission(api, kind):
    await api.add(thing(1))

    masked = await api.get(f"/exports/things?format={kind}")
    revealed = await api.get(f"/exports/things?format={kind}", OWNER)

    assert "secret 1" not in masked.text
    assert "secret 1" in revealed.text


async def test_operators_mask_columns_by_role(start_on_sqlite):
    moderator = Identity("m", "M", frozenset(("moderator",)), frozenset(("things:*",)))
    both = Identity("b", "B", frozenset(("moderator", "user")), frozenset(("things:*",)))
    async with start_on_sqlite(mask={"things": {"moderator": ["name", "secret"]}}) as api:
        await api.add(thing(1))

        of_moderator = (await api.csv("/exports/things", moderator))[0]
        of_both = (await api.csv("/exports/things", both))[0]

    assert (of_moderator["name"], of_moderator["secret"], of_moderator["number"]) == ("", "", "1")
    assert (of_both["name"], of_both["secret"]) == ("thing 1", "secret 1")


async def test_a_file_is_saved_under_a_safe_name_and_never_cached(api_on_sqlite):
    answer = await api_on_sqlite.get("/exports/count?rows=1&format=ndjson")

    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="Zahlung _1_2____')
    assert unquote(disposition.partition("UTF-8''")[2]).startswith("Zählung _1_2___数-20")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Length" not in answer.headers


async def test_head_answers_without_exporting(api_on_sqlite):
    answer = await api_on_sqlite.http.head("/api/v1/exports/things", headers=signed_in(OWNER))

    assert (answer.status_code, answer.content) == (200, b"")
    assert "attachment" in answer.headers["Content-Disposition"]


async def test_what_fails_at_once_is_an_error_answer(api_on_sqlite):
    answer = await api_on_sqlite.get("/exports/count?fail_after=0")

    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "InternalServerError")
    assert "Content-Disposition" not in answer.headers


async def test_a_failure_half_way_never_ends_the_body(api_on_sqlite):
    client = Client(api_on_sqlite, "/exports/count?rows=100000&fail_after=50000", OWNER)
    for _ in range(1_000):
        client.may_read.release()

    with pytest.raises(RuntimeError, match="half-way"):
        await client.task

    assert client.messages[0]["status"] == 200
    assert not client.is_complete


@pytest.mark.parametrize("path", ["/exports/things", "/exports/things?format=ndjson", "/exports/count?rows=1000000"])
async def test_a_client_that_leaves_ends_the_export_and_frees_what_it_held(start, path):
    async with start(streams=1) as api:
        await api.add(*(thing(n, name="x" * 500) for n in range(5_000)))
        client = Client(api, path, OWNER)
        await client.read(2)
        busy = await api.get("/exports/things", OWNER)
        client.leave()
        await asyncio.wait_for(client.task, 30)
        again = await api.get("/exports/things?columns=number", OWNER)
        in_use = (await api.services[Database].probe())["connections"]["in_use"]

    assert (busy.status_code, busy.json()["error"]["type"]) == (503, "ExportsBusy")
    assert busy.headers["Retry-After"] == "10"
    assert not client.is_complete
    assert (again.status_code, len(again.text.splitlines())) == (200, 5_001)
    assert in_use <= 1  # the probe itself


@pytest.mark.parametrize("path", ["/exports/things", "/exports/things?format=excel", "/exports/count?rows=10000000"])
async def test_nothing_is_made_that_nobody_reads(start, path):
    async with start() as api:
        await api.add(*(thing(n, name="x" * 2_000) for n in range(4_000)))
        client = Client(api, path, OWNER)
        await client.read(3)
        made = [len(message.get("body", b"")) for message in client.messages]
        client.leave()
        await asyncio.wait_for(client.task, 30)

    assert len(client.messages) == 3
    assert sum(made) < 600_000


async def test_chunks_are_worth_a_write_and_bounded(api):
    await api.add(*(thing(n, name="x" * 2_000) for n in range(2_000)))
    client = Client(api, "/exports/things", OWNER)
    for _ in range(1_000):
        client.may_read.release()
    await asyncio.wait_for(client.task, 30)

    sizes = [len(message["body"]) for message in client.messages if message["type"] == "http.response.body"]
    assert max(sizes) <= 256 * 1024
    assert min(sizes[1:-2]) >= 64 * 1024 or len(sizes) > 10
    assert client.is_complete


async def test_a_stream_may_not_take_for_ever(start_on_sqlite):
    async with start_on_sqlite(stream_timeout=0.3) as api:
        client = Client(api, "/exports/count?rows=10000000", OWNER)
        await client.read(2)
        with pytest.raises(Exception, match="took longer"):
            await asyncio.wait_for(client.task, 30)

    assert not client.is_complete


async def test_roles_have_budgets(start_on_sqlite):
    budgets = {"user": {"rows": 2}, "admin": {}}
    admin = Identity("root", "Root", frozenset(("admin", "user")), frozenset(("*",)))
    async with start_on_sqlite(budgets=budgets) as api:
        await api.add(*(thing(n) for n in range(3)))
        refused = await api.get("/exports/things", OWNER)
        filtered = await api.get("/exports/things?colour=blue", OWNER)
        allowed = await api.get("/exports/things", admin)

    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "ExportTooLarge")
    assert refused.json()["error"]["details"] == [{"rows": 3, "allowed": 2}]
    assert (filtered.status_code, allowed.status_code) == (200, 200)


async def test_a_caller_reads_so_many_streams_at_a_time_and_leaves_room_for_others(start_on_sqlite):
    other = Identity("other", "Other", frozenset(("user",)), frozenset(("things:*",)))
    async with start_on_sqlite(streams=3, budget={"streams": 2}) as api:
        await api.add(thing(1))
        clients = [Client(api, "/exports/count?rows=10000000", OWNER) for _ in range(2)]
        for client in clients:
            await client.read(2)
        refused = await api.get("/exports/things", OWNER)
        of_other = await api.get("/exports/things", other)
        clients[0].leave()
        await asyncio.wait_for(clients[0].task, 30)
        again = await api.get("/exports/things", OWNER)
        clients[1].leave()
        await asyncio.wait_for(clients[1].task, 30)

    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "TooManyStreams")
    assert refused.headers["Retry-After"] == "10"
    assert (of_other.status_code, again.status_code) == (200, 200)


async def test_bytes_over_the_budget_break_the_stream_off(start_on_sqlite):
    async with start_on_sqlite(budget={"bytes": 300_000}) as api:
        client = Client(api, "/exports/count?rows=1000000", OWNER)
        for _ in range(1_000):
            client.may_read.release()
        with pytest.raises(Exception, match="larger than your roles allow"):
            await asyncio.wait_for(client.task, 30)

    assert not client.is_complete


class Remembering(AuditLog):
    def __init__(self):
        self.entries = []

    async def record(self, entry):
        self.entries.append(entry)


class Keeper(Plugin[PluginSettings]):
    """Keeps an audit log."""

    provides = ("audit",)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, services):
        yield Remembering()


async def test_each_export_leaves_a_trace(start_on_sqlite):
    async with start_on_sqlite(plugins={"keeper": True}, extra={"keeper": Keeper}) as api:
        await api.get("/exports/count?rows=3&columns=n")
        client = Client(api, "/exports/count?rows=1000000", OWNER)
        await client.read(2)
        client.leave()
        await asyncio.wait_for(client.task, 30)
        entries = api.services[AuditLog].entries

    assert [entry.action for entry in entries] == ["export.started", "export.ended"] * 2
    assert entries[0].facts["filters"] == {"rows": 3}
    assert entries[0].caller.id == "reader"
    ended = entries[1].facts
    assert (ended["source"], ended["format"], ended["columns"]) == ("count", "csv", ["n"])
    assert (ended["rows"], ended["outcome"]) == (3, "complete")
    assert (entries[3].facts["outcome"], entries[3].client_address) == ("aborted", "192.0.2.1")


async def test_without_an_audit_log_the_trace_is_in_the_log(api_on_sqlite, caplog):
    with caplog.at_level(logging.INFO, "powerstrip_exports"):
        await api_on_sqlite.get("/exports/count?rows=3")

    assert [record.message for record in caplog.records if record.name.startswith("powerstrip_exports")] == [
        "export.started",
        "export.ended",
    ]


async def test_encoding_leaves_the_processor_to_those_who_answer():
    """On Linux; elsewhere threads have no priority of their own."""

    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with Threads.running(1) as threads:
        encoding = await threads.run(priority)

    assert encoding == (min(priority() + 5, 19) if sys.platform == "linux" else priority())
